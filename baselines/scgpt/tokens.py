"""scGPT's tokens of a spot: its non-zero genes, each with the bin of its value among the spot's values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

N_BINS = 51  # the bin of zero, and 50 more


class Rows(NamedTuple):
    """The non-zero values of some spots: values float32, genes int64, and which are no padding, `[n, t]` each."""

    values: np.ndarray
    genes: np.ndarray
    valid: np.ndarray

    def take(self, columns: np.ndarray) -> Rows:
        """For each spot its tokens at these columns `[n, m]`."""
        return Rows(*(np.take_along_axis(array, columns, axis=1) for array in self))


def rows(matrix: sp.csr_matrix, spots: np.ndarray) -> Rows:
    """The non-zero values of some spots of a CSR matrix `[n_spots, n_genes]`."""
    part = matrix[spots]
    length = np.diff(part.indptr)
    stored = np.arange(max(int(length.max(initial=0)), 1)) < length[:, None]
    values, genes = np.zeros(stored.shape, np.float32), np.zeros(stored.shape, np.int64)
    values[stored], genes[stored] = part.data, part.indices
    return Rows(values, genes, values != 0)


def uniform(valid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A number in [0, 1) for each valid entry, `[n, t]`. A spot's numbers do not depend on how spots are batched."""
    drawn = np.zeros(valid.shape)
    drawn[valid] = rng.random(int(valid.sum()))
    return drawn


def subset(tokens: Rows, n_tokens: int, clock: np.ndarray) -> Rows:
    """The `n_tokens` tokens of each spot with the lowest `clock` `[n, t]`, valid ones first."""
    clock = np.where(tokens.valid, clock, np.inf)
    if clock.shape[1] > n_tokens:
        first = np.argpartition(clock, n_tokens - 1, axis=1)[:, :n_tokens]
        clock, tokens = np.take_along_axis(clock, first, axis=1), tokens.take(first)
    return tokens.take(np.argsort(clock, axis=1, kind="stable"))


def binned(values: np.ndarray, valid: np.ndarray, uniform: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """The bin of each value among the non-zero values of its row: scGPT's stochastic binning.

    The row's edges are its `n_bins - 1` evenly spaced quantiles. Where several edges equal a value, `uniform` chooses
    one of the bins between them: the bin is ceil(u (right - left) + left), where right and left are the numbers of
    edges below the value, and below or at it (`np.digitize` with `right` True and False). So bins count from 1, and 0
    is the bin of zero.

    Args:
        values: `[n, t]`.
        valid: which values are no padding, bool `[n, t]`.
        uniform: in [0, 1), `[n, t]`.

    Returns:
        int64 `[n, t]`; 0 where a value is zero or padding.
    """
    n, t = values.shape
    valid = valid & (values != 0)
    order = np.argsort(np.where(valid, values, np.inf), axis=1)
    count = valid.sum(axis=1, keepdims=True)
    ordered = np.where(np.arange(t) < count, np.take_along_axis(values, order, axis=1), 0)
    # Values are compared by their rank. Then one sorted list can hold the edges of all rows, one row after another.
    ordered_rank = np.zeros((n, t))
    ordered_rank[:, 1:] = np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1)
    ordered_rank += np.arange(n)[:, None] * (t + 1)
    edges = _edge_ranks(ordered, ordered_rank, np.maximum(count - 1, 0), n_bins - 1).ravel()
    rank = np.empty_like(ordered_rank)
    np.put_along_axis(rank, order, ordered_rank, axis=1)
    rank, edges_of_rows_before = rank[valid], np.nonzero(valid)[0] * (n_bins - 1)
    left, right = (np.searchsorted(edges, rank, side) - edges_of_rows_before for side in ("right", "left"))
    bins = np.zeros((n, t), np.int64)
    bins[valid] = np.ceil(uniform[valid] * (right - left) + left)
    return bins


def _edge_ranks(ordered: np.ndarray, rank: np.ndarray, last: np.ndarray, n_edges: int) -> np.ndarray:
    """Rank of each row's quantiles among its values, `[n, n_edges]`; a quantile between two values has a half rank.

    The quantiles are computed as NumPy does it (linear interpolation, from the nearer end), so that the same ones equal
    a value in floating point.
    """
    index = np.linspace(0, 1, n_edges) * last
    below = index.astype(np.int64)
    above = np.minimum(below + 1, last)
    low, high = (np.take_along_axis(ordered, at, axis=1) for at in (below, above))
    share = index - below
    edge = np.where(share >= 0.5, high - (high - low) * (1 - share), low + (high - low) * share)
    low_rank = np.take_along_axis(rank, below, axis=1)
    return np.where(edge == low, low_rank, np.where(edge == high, low_rank + 1, low_rank + 0.5))
