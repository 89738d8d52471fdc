"""Normalisation of counts. It needs NumPy and SciPy only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from benchmark.data.pages import give_back

if TYPE_CHECKING:
    import anndata as ad

TARGET = np.float32(1e4)  # counts are scaled to so many a spot
CLIP = 10  # scaled values are cut off at so many standard deviations, as in scanpy's tutorials
SPOTS_AT_ONCE = 50_000  # are normalised together


def library_size(counts: sp.spmatrix) -> np.ndarray:
    """Sum of the counts of each spot, float32 `[n_spots]`; at least 1, so empty spots stay zero after normalisation."""
    parts = []
    for first in range(0, counts.shape[0], SPOTS_AT_ONCE):
        parts.append(np.asarray(counts[first : first + SPOTS_AT_ONCE].sum(axis=1)).ravel())
        give_back()
    return np.maximum(np.concatenate(parts or [[]]), 1).astype(np.float32)


def sizes(slide: ad.AnnData) -> np.ndarray:
    """Library size of each spot, float32 `[n_spots]`, at least 1: obs["library_size"], or the sum of its counts.

    The column is there where genes are left out that tell nothing to be hidden: it counts all genes of the slide.
    """
    if "library_size" in slide.obs:
        return np.maximum(slide.obs["library_size"].to_numpy(np.float32), 1)
    return library_size(slide.X)


def hide(counts: sp.csr_matrix, genes: np.ndarray) -> sp.csr_matrix:
    """The counts `[n_spots, n_genes]` without those of some `genes`, int `[n_hidden]`."""
    shown = np.ones(counts.shape[1], dtype=np.float32)
    shown[genes] = 0
    kept = sp.csr_matrix(counts @ sp.diags_array(shown))
    kept.eliminate_zeros()
    kept.sort_indices()
    return kept


def lognorm(counts: sp.csr_matrix, size: np.ndarray | None = None) -> sp.csr_matrix:
    """log1p of counts per 10,000, CSR float32 `[n_spots, n_genes]`: log1p(10,000 × count / library size).

    Args:
        counts: CSR `[n_spots, n_genes]`.
        size: library size of each spot, float32 `[n_spots]`; None: the sum of its counts. Where genes are hidden, that
            is the sum of the visible ones.
    """
    out = sp.csr_matrix(counts, dtype=np.float32, copy=True)
    scale = TARGET / (library_size(counts) if size is None else size)
    out.data = np.log1p(out.data * np.repeat(scale, np.diff(out.indptr)), dtype=np.float32)
    return out


def normalised(slide: ad.AnnData) -> sp.csr_matrix:
    """log1p of counts per 10,000 of a slide, CSR float32 `[n_spots, n_genes]`, with its `sizes`."""
    return lognorm(slide.X, sizes(slide))


def normalised_parts(slide: ad.AnnData) -> Iterator[sp.csr_matrix]:
    """The rows of `normalised`, so many at once that a slide of any size fits the memory."""
    size = sizes(slide)
    for first in range(0, slide.n_obs, SPOTS_AT_ONCE):
        part = slice(first, first + SPOTS_AT_ONCE)
        yield lognorm(slide.X[part], size[part])
        give_back()


def sums(values: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Sum of each gene's values `[n_spots, n_genes]`, and of their squares, float64 `[n_genes]` each."""
    n_genes, squares = values.shape[1], np.square(values.data, dtype=np.float64)
    return np.bincount(values.indices, values.data, n_genes), np.bincount(values.indices, squares, n_genes)
