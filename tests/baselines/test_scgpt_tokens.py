"""scGPT's bins: for any row and any draw they equal the official rule, written here from its description."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from baselines.scgpt.tokens import binned, rows, subset, uniform


def official(row: np.ndarray, draws: np.ndarray, n_bins: int = 51) -> np.ndarray:
    """One row, with a draw for each value: quantiles of the non-zero values, ties between the two ways to digitize."""
    bins = np.zeros(len(row), np.int64)
    some = row != 0
    if some.any():
        edges = np.quantile(row[some], np.linspace(0, 1, n_bins - 1))
        left, right = np.digitize(row[some], edges), np.digitize(row[some], edges, right=True)
        bins[some] = np.ceil(draws[some] * (right - left) + left)
    return bins


def compared(table: np.ndarray, seed: int = 0) -> np.ndarray:
    """The bins of all rows at once, after a check that each is the official one's."""
    draws = np.random.default_rng(seed).random(table.shape)
    bins = binned(table, np.ones(table.shape, bool), draws)
    assert np.array_equal(bins, [official(*pair) for pair in zip(table, draws, strict=True)])
    return bins


ROWS = {
    "all zero": np.zeros(7),
    "all positive": np.array([3, 1, 4, 1.5, 9, 2, 6]),
    "one value": np.array([0, 0, 5, 0, 0, 0, 0.0]),
    "all ties": np.full(7, 2.0),
    "zeros and ties": np.array([1, 0, 1, 2, 0, 1, 2.0]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
def test_bins_of_special_rows_are_the_official_ones(name, dtype):
    row = ROWS[name].astype(dtype)
    bins = compared(np.stack([row, np.arange(7, dtype=dtype), row[::-1]]))
    assert np.array_equal(bins[0] == 0, row == 0)


@given(st.integers(1, 12), st.integers(1, 200), st.floats(0.1, 30), st.sampled_from([1.0, 0.37]), st.integers(0, 99))
def test_bins_of_any_counts_are_the_official_ones(n, t, depth, scale, seed):
    counts = np.random.default_rng(seed).poisson(depth, size=(n, t))
    assert compared((counts * scale).astype(np.float32), seed).max() <= 50
    compared(np.log1p(counts * scale), seed)


@given(st.integers(60, 300), st.integers(0, 99))
def test_bins_hold_equal_shares_of_values_without_ties(t, seed):
    bins = compared(np.random.default_rng(seed).permutation(np.arange(1.0, t + 1))[None])
    size = np.bincount(bins[0], minlength=51)[1:]
    assert bins.min() == 1 and size[:-1].max() - size[:-1].min() <= 1 and size.sum() == t


def test_ties_are_spread_evenly_over_the_bins_they_span():
    table = np.ones((1, 50_000))
    size = np.bincount(binned(table, table > 0, np.random.default_rng(0).random(table.shape))[0], minlength=51)
    assert size[0] == 0 and np.abs(size[1:] - 1000).max() < 5 * np.sqrt(1000)


def test_padding_changes_no_bin():
    rng = np.random.default_rng(0)
    values, draws = rng.poisson(3, size=(4, 30)).astype(np.float32), rng.random((4, 30))
    valid = rng.random((4, 30)) < 0.7
    bins = binned(np.where(valid, values, 99), valid, draws)
    for i, some in enumerate(valid):
        assert np.array_equal(bins[i, some], official(values[i, some], draws[i, some]))
        assert not bins[i, ~some].any()


def test_bins_do_not_depend_on_the_depth_of_a_spot():
    counts = np.random.default_rng(0).poisson(3, size=(5, 80))
    draws = np.random.default_rng(1).random(counts.shape)
    raw, deeper, logged = (binned(f(counts), counts > 0, draws) for f in (np.float64, lambda x: x * 7.0, np.log1p))
    assert np.array_equal(raw, deeper) and np.array_equal(raw, logged)


@given(st.integers(1, 20), st.integers(1, 30), st.integers(1, 40), st.integers(0, 99))
def test_a_subset_holds_genes_of_its_spot_without_repeats(n, n_genes, n_tokens, seed):
    rng = np.random.default_rng(seed)
    counts = sp.csr_matrix(rng.poisson(0.5, size=(n, n_genes)).astype(np.float32))
    every = rows(counts, np.arange(n))
    drawn = subset(every, n_tokens, uniform(every.valid, rng))
    for i, (values, genes, valid) in enumerate(zip(*drawn, strict=True)):
        assert valid.sum() == min(n_tokens, counts[i].nnz) == len(set(genes[valid]))
        assert not (np.diff(valid.astype(int)) > 0).any()  # valid tokens come first
        assert np.array_equal(counts[i].toarray()[0, genes[valid]], values[valid]) and values[valid].all()


def test_every_gene_of_a_spot_is_equally_likely_in_a_subset():
    counts = sp.csr_matrix(np.ones((8000, 10), np.float32) * np.arange(1, 11))
    every = rows(counts, np.arange(8000))
    drawn = subset(every, 4, uniform(every.valid, np.random.default_rng(0)))
    assert np.abs(np.bincount(drawn.genes.ravel()) - 3200).max() < 5 * np.sqrt(8000 * 0.24)


def test_a_spots_draws_do_not_depend_on_how_spots_are_batched():
    valid = np.arange(9) < np.array([4, 9, 1, 0, 6])[:, None]
    one, two = np.random.default_rng(0), np.random.default_rng(0)
    apart = np.concatenate([uniform(valid[:2], one), uniform(valid[2:], one)])
    assert np.array_equal(uniform(valid, two), apart)
