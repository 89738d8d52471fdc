"""Our tokens against the official package: vocabulary, bins, and which genes a cell shows."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.scgpt.checkpoint import read_folder
from baselines.scgpt.tokens import binned
from baselines.scgpt.unit import ScGPTUnit
from tests.parity.official import PAD, SPECIAL, Size, pair, part, save

pytestmark = pytest.mark.parity
collator, preprocess, tokenizer = part("scgpt.data_collator"), part("scgpt.preprocess"), part("scgpt.tokenizer")
RELEASED = 60_694  # genes of the released vocabulary


def test_the_vocabulary_of_a_checkpoint_is_read_as_officially(tmp_path):
    """As many tokens as the released models have, not in alphabetical order."""
    tokens = [f"G{i}" for i in np.random.default_rng(0).permutation(RELEASED)] + list(SPECIAL)
    folder = save(pair(Size())[0], Size(), tmp_path)
    official = tokenizer.GeneVocab.from_dict({token: row for row, token in enumerate(tokens)})
    official.save_json(folder / "vocab.json")
    again = tokenizer.GeneVocab.from_file(folder / "vocab.json")
    ours = read_folder(folder).vocab
    assert len(ours) == 60_697 and ours == again.get_stoi()
    assert [ours[token] for token in SPECIAL] == [RELEASED, RELEASED + 1, RELEASED + 2]
    assert again["no such gene"] == ours["<pad>"] and "no such gene" not in ours


def official_bins(row: np.ndarray, seed: int) -> np.ndarray:
    """Bins of an array and, as in the collator, of a tensor, which 0.2.4 refuses if all its values are zero."""
    bins = []
    for kind in (np.asarray, torch.from_numpy) if row.any() else (np.asarray,):
        np.random.seed(seed)  # noqa: NPY002 - the official function draws from it
        bins.append(np.asarray(preprocess.binning(kind(row), n_bins=51)))
    assert np.array_equal(bins[0], bins[-1])
    return bins[0]


def our_bins(row: np.ndarray, seed: int) -> np.ndarray:
    """Our bins, with the numbers that the official function draws: one for each non-zero value."""
    some, draws = row != 0, np.zeros(len(row))
    draws[some] = np.random.RandomState(seed).rand(some.sum())
    return binned(row[None], np.ones((1, len(row)), bool), draws[None])[0]


def counts(depth: float, t: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(depth, t)


ROWS = {
    "all zero": np.zeros(30),
    "all positive": counts(20, 200, 0) + 1,
    "one value": np.eye(30)[3] * 7,
    "all ties": np.full(80, 3),
    "sparse": counts(0.3, 300, 1),
    "fractions": np.random.default_rng(2).gamma(1.0, size=150),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_bins_of_special_rows(row, dtype):
    row = row.astype(dtype)
    assert np.array_equal(our_bins(row, 5), official_bins(row, 5))


@given(st.floats(0.05, 40), st.integers(1, 400), st.sampled_from([1.0, 0.37, 1e4]), st.integers(0, 999))
def test_bins_of_any_counts(depth, t, scale, seed):
    row = (counts(depth, t, seed) * scale).astype(np.float32)
    ours = our_bins(row, seed)
    assert np.array_equal(ours, official_bins(row, seed))
    assert ours.min() >= 0 and ours.max() <= 50
    assert np.array_equal(our_bins(np.log1p(row), seed), official_bins(np.log1p(row), seed))


def test_bins_of_a_table_are_those_of_the_official_preprocessor():
    """All rows of a batch at once, also rows of zeros, with the draws in the official order."""
    table = np.random.default_rng(0).poisson(2.0, size=(20, 90)).astype(np.float32)
    table[4] = 0
    adata = ad.AnnData(table)
    np.random.seed(3)  # noqa: NPY002
    preprocess.Preprocessor(use_key="X", normalize_total=False, binning=51)(adata)
    draws = np.zeros(table.shape)
    draws[table != 0] = np.random.RandomState(3).rand(np.count_nonzero(table))
    assert np.array_equal(binned(table, table != 0, draws), adata.layers["X_binned"])


def slide(n: int, genes: int, seed: int) -> ad.AnnData:
    """Distinct values, so that no bin is drawn, in a third to all of the genes."""
    rng = np.random.default_rng(seed)
    table = rng.permuted(np.tile(np.arange(1.0, genes + 1), (n, 1)), axis=1) ** 1.5
    table[rng.random(table.shape) > rng.uniform(0.3, 1, size=(n, 1))] = 0
    return ad.AnnData(sp.csr_matrix(table.astype(np.float32)), var=pd.DataFrame(index=[f"G{i}" for i in range(genes)]))


def official_tokens(adata: ad.AnnData, ids: np.ndarray, pad: int, cls: int, most: int) -> list[set]:
    """(gene, bin) of each cell from the official collator, called as in `embed_data`, without "CLS"."""
    examples = []
    for row in adata.X.toarray():
        genes, values = np.insert(ids[row != 0], 0, cls), np.insert(row[row != 0], 0, PAD)
        examples.append({"genes": torch.from_numpy(genes), "expressions": torch.from_numpy(values)})
    out = collator.DataCollator(pad_token_id=pad, pad_value=PAD, do_mlm=False, max_length=most)(examples)
    assert (out["gene"][:, 0] == cls).all() and (out["expr"][:, 0] == PAD).all()
    cells = zip(out["gene"][:, 1:].tolist(), out["expr"][:, 1:].tolist(), strict=True)
    return [{pair for pair in zip(*cell, strict=True) if pair[0] != pad} for cell in cells]


def our_tokens(adata: ad.AnnData, ids: np.ndarray, n_tokens: int) -> list[set]:
    """The same from our unit, which leaves "CLS" to the model."""
    drawn = next(ScGPTUnit(n_tokens, token=ids).cover(adata, tokens=10**6))
    cells = zip(drawn.genes[:, :, 0], drawn.values[:, :, 0], drawn.valid, strict=True)
    return [set(zip(genes[valid].tolist(), values[valid].tolist(), strict=True)) for genes, values, valid in cells]


def test_a_cells_genes_and_bins_without_truncation():
    size, adata = Size(), slide(12, 60, 0)
    ids = np.random.default_rng(1).permutation(size.n_genes)
    wanted = official_tokens(adata, ids, size.vocab["<pad>"], size.vocab["<cls>"], most=61)
    assert our_tokens(adata, ids, n_tokens=60) == wanted
    assert min(map(len, wanted)) < max(map(len, wanted)) <= 60


def test_a_cells_genes_and_bins_with_truncation():
    """Bins are computed before genes are left out, so each gene keeps the bin that it has among all genes."""
    size, adata = Size(), slide(12, 60, 0)
    ids = np.random.default_rng(1).permutation(size.n_genes)
    pad, cls = size.vocab["<pad>"], size.vocab["<cls>"]
    every = official_tokens(adata, ids, pad, cls, most=61)
    official, ours = official_tokens(adata, ids, pad, cls, most=21), our_tokens(adata, ids, n_tokens=20)
    assert [len(cell) for cell in ours] == [len(cell) for cell in official] == [min(20, len(cell)) for cell in every]
    assert all(kept <= cell and drawn <= cell for kept, drawn, cell in zip(ours, official, every, strict=True))


def test_genes_outside_the_vocabulary_are_dropped_before_binning():
    size, adata = Size(), slide(12, 60, 0)
    ids = np.random.default_rng(1).permutation(size.n_genes)
    known = np.arange(60) % 3 > 0
    pad, cls = size.vocab["<pad>"], size.vocab["<cls>"]
    wanted = official_tokens(adata[:, known], ids[known], pad, cls, most=61)
    assert our_tokens(adata, np.where(known, ids, -1), n_tokens=60) == wanted
