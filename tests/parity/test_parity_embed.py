"""Embeddings from a checkpoint folder and counts, and what training hides: ours against the official package."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from baselines.scgpt.method import Scgpt
from baselines.scgpt.module import MASKED, Generative, MaskedValues
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.model.masked import RATIOS
from benchmark.training.budget import Budget
from tests.parity.official import MASKED as MASK_VALUE
from tests.parity.official import PAD, SPECIAL, Size, batch, pair, part, save

pytestmark = pytest.mark.parity
collator, tasks, tokenizer = part("scgpt.data_collator"), part("scgpt.tasks.cell_emb"), part("scgpt.tokenizer")


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    """Slides of 300 genes, with enough counts that some of a spot's are distinct."""
    data = Simulated(n_donors=2, shape=(10, 10), n_genes=300, depth=10_000, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("parity"), data.record())


@pytest.fixture
def folder(tissue, tmp_path):
    """Random weights, and a vocabulary in another order, without every fifth gene and with some other genes."""
    size = Size(n_genes=300, d=64, heads=4, layers=3, d_hid=64)
    known = [gene for i, gene in enumerate(tissue.genes) if i % 5] + [f"other{i}" for i in range(60)]
    vocab = dict(zip([*np.random.default_rng(0).permutation(known), *SPECIAL], range(303), strict=True))
    save(pair(size)[0], size, tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    return tmp_path


def cosines(slide, tissue, folder, n_tokens: int, monkeypatch) -> tuple[np.ndarray, np.ndarray]:
    """For each spot, the cosine of the official embedding and ours, and of two official embeddings with other draws."""
    monkeypatch.setattr(tasks.os, "sched_getaffinity", lambda _: ())  # no further processes
    official = []
    for seed in range(2):
        np.random.seed(seed)  # noqa: NPY002 - the official function draws from it
        adata = slide.copy()
        adata.var_names = tissue.genes
        arguments = {"gene_col": "index", "max_length": n_tokens + 1, "device": "cpu", "use_fast_transformer": False}
        official.append(tasks.embed_data(adata, folder, **arguments).obsm["X_scGPT"])
    method = Scgpt(n_tokens, checkpoint=str(folder))
    method.fit(tissue, Budget("spots", 0), seed=0)
    ours = method.embed(slide)
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    return (official[0] * ours).sum(axis=1), (official[0] * official[1]).sum(axis=1)


def test_embeddings_of_counts(tissue, folder, monkeypatch, within):
    """Ties are drawn at random. So official embeddings differ from run to run, and they differ from ours as much."""
    ours, again = cosines(next(iter(tissue)), tissue, folder, 300, monkeypatch)
    within("embed_data of counts, 1 - cosine", 1 - ours.min(), 1e-3)
    within("embed_data of counts, official run twice, 1 - cosine", 1 - again.min(), 1e-3)
    assert again.min() < 1 - 1e-7 and (1 - ours).mean() < 2 * (1 - again).mean()


def test_embeddings_without_ties(tissue, folder, monkeypatch, within):
    """Nothing is drawn where a spot's values are distinct and all are shown."""
    slide = next(iter(tissue)).copy()
    slide.X.data = np.random.default_rng(0).permutation(slide.X.nnz).astype(np.float32) + 1
    ours, again = cosines(slide, tissue, folder, 300, monkeypatch)
    assert again.min() > 1 - 1e-6
    within("embed_data without ties, 1 - cosine", 1 - ours.min(), 1e-5)


def cells() -> dict[str, torch.Tensor]:
    """The batch of the other tests as our modules read it: without the token of the cell, which they add themselves."""
    x = batch(Size(), b=200, t=40)
    genes, values, valid = x.genes[:, 1:], x.target[:, 1:], ~x.padding[:, 1:]
    return {"genes": genes[..., None], "values": values[..., None], "valid": valid}


def test_plain_masking_hides_as_the_official_collator_does():
    """Each value is hidden independently; padding and the token of the cell are never hidden."""
    x = batch(Size(), b=200, t=40)
    official = collator.DataCollator(pad_token_id=0, pad_value=PAD, mlm_probability=MASKED, max_length=40)
    torch.manual_seed(0)
    theirs = official._mask(x.target) == MASK_VALUE
    ours = MaskedValues.draw_hidden(cells(), torch.Generator().manual_seed(0))
    assert not theirs[x.padding].any() and not theirs[:, 0].any()
    assert not ours[x.padding[:, 1:]].any()
    real = (~x.padding[:, 1:]).sum().item()
    for hidden in (theirs[:, 1:], ours):
        assert abs(hidden.sum().item() - MASKED * real) < 5 * (MASKED * (1 - MASKED) * real) ** 0.5


@pytest.mark.parametrize("seed", range(6))
def test_as_many_genes_are_queries_as_the_official_masking_hides(seed):
    """A share of a cell's genes, rounded down. Each gene is either known or a query."""
    x, ours = batch(Size(), b=200, t=40), cells()
    known, query = Generative.draw_hidden(None, ours, torch.Generator().manual_seed(seed))
    n_queries = (query >= 0).sum(dim=1)
    hidden = [(tokenizer.random_mask_value(x.target, ratio, MASK_VALUE, PAD) == MASK_VALUE).sum(1) for ratio in RATIOS]
    assert any(torch.equal(n_queries, wanted) for wanted in hidden)
    for i, length in enumerate(ours["valid"].sum(dim=1).tolist()):
        both = torch.cat([known[i][known[i] >= 0], query[i][query[i] >= 0]])
        assert sorted(both.tolist()) == list(range(length))
