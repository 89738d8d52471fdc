"""scGPT's tokens of a spot: its non-zero genes, each with the bin of its value among the spot's own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

N_BINS = 51  # zero's bin and 50 more


class Rows(NamedTuple):
    """The non-zero values of some spots, padded: values float32, genes int64, and which are there, `[n, t]` each."""

    values: np.ndarray
    genes: np.ndarray
    there: np.ndarray

    def take(self, columns: np.ndarray) -> Rows:
        """For each spot the tokens at these places, `[n, m]`."""
        return Rows(*(np.take_along_axis(array, columns, axis=1) for array in self))


def rows(matrix: sp.csr_matrix, spots: np.ndarray) -> Rows:
    """The non-zero values of these rows of a CSR matrix `[n_spots, n_genes]`."""
    part = matrix[spots]
    length = np.diff(part.indptr)
    stored = np.arange(max(int(length.max(initial=0)), 1)) < length[:, None]
    values, genes = np.zeros(stored.shape, np.float32), np.zeros(stored.shape, np.int64)
    values[stored], genes[stored] = part.data, part.indices
    return Rows(values, genes, values != 0)


def uniform(there: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A number in [0, 1) for each value that is there, `[n, t]`; however spots are batched, each has its own."""
    drawn = np.zeros(there.shape)
    drawn[there] = rng.random(int(there.sum()))
    return drawn


def subset(found: Rows, n_tokens: int, clock: np.ndarray) -> Rows:
    """Of each spot the `n_tokens` genes of the lowest `clock` `[n, t]`, those that are there first."""
    clock = np.where(found.there, clock, np.inf)
    if clock.shape[1] > n_tokens:
        first = np.argpartition(clock, n_tokens - 1, axis=1)[:, :n_tokens]
        clock, found = np.take_along_axis(clock, first, axis=1), found.take(first)
    return found.take(np.argsort(clock, axis=1, kind="stable"))


def binned(values: np.ndarray, there: np.ndarray, uniform: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """The bin of each value among the non-zero ones of its row: scGPT's stochastic binning.

    The row's edges are its `n_bins - 1` evenly spaced quantiles. A value that several edges equal lies in any of the
    bins between them, as `uniform` says: its bin is ceil(u (right - left) + left), with right and left the numbers of
    edges below it, and below or at it (`np.digitize` with `right` True and False). So bins count from 1; 0 is zero's.

    Args:
        values: `[n, t]`.
        there: which are no padding, bool `[n, t]`.
        uniform: in [0, 1), `[n, t]`.

    Returns:
        int64 `[n, t]`, 0 where a value is zero or padding.
    """
    n, t = values.shape
    there = there & (values != 0)
    order = np.argsort(np.where(there, values, np.inf), axis=1)
    count = there.sum(axis=1, keepdims=True)
    ordered = np.where(np.arange(t) < count, np.take_along_axis(values, order, axis=1), 0)
    # Compared by rank rather than by value: one sorted list then holds the edges of all rows, one row after another.
    rank = np.zeros((n, t))
    rank[:, 1:] = np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1)
    rank += np.arange(n)[:, None] * (t + 1)
    edges = _edge_ranks(ordered, rank, np.maximum(count - 1, 0), n_bins - 1).ravel()
    place = np.empty_like(rank)
    np.put_along_axis(place, order, rank, axis=1)
    place, before = place[there], np.nonzero(there)[0] * (n_bins - 1)
    left, right = (np.searchsorted(edges, place, side) - before for side in ("right", "left"))
    found = np.zeros((n, t), np.int64)
    found[there] = np.ceil(uniform[there] * (right - left) + left)
    return found


def _edge_ranks(ordered: np.ndarray, rank: np.ndarray, last: np.ndarray, n_edges: int) -> np.ndarray:
    """Rank of each row's quantiles among its values, a half between two of them, `[n, n_edges]`.

    The quantiles are NumPy's, step by step (linear interpolation, from the nearer end), so that the same ones equal a
    value in floating point.
    """
    place = np.linspace(0, 1, n_edges) * last
    below = place.astype(np.int64)
    above = np.minimum(below + 1, last)
    low, high = (np.take_along_axis(ordered, at, axis=1) for at in (below, above))
    share = place - below
    edge = np.where(share >= 0.5, high - (high - low) * (1 - share), low + (high - low) * share)
    low_rank = np.take_along_axis(rank, below, axis=1)
    return np.where(edge == low, low_rank, np.where(edge == high, low_rank + 1, low_rank + 0.5))
