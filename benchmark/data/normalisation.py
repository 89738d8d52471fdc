"""Normalisation of counts; needs NumPy and SciPy alone."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def library_size(counts: sp.spmatrix) -> np.ndarray:
    """Counts a spot, `[n_spots]`, at least 1 so that empty spots stay zero after normalisation."""
    return np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1).astype(np.float32)


def stated_size(slide) -> np.ndarray:
    """Counts a spot of a slide, `[n_spots]`; a slide that lacks those of some genes has it in obs["library_size"]."""
    return slide.obs["library_size"].to_numpy() if "library_size" in slide.obs else library_size(slide.X)


def lognorm(counts: sp.csr_matrix, target: float = 1e4, size: np.ndarray | None = None) -> sp.csr_matrix:
    """log1p of counts per `target`; sparse in, sparse out, float32.

    Args:
        size: counts of each spot, `[n_spots]`, where some of them are not in `counts`.
    """
    size = library_size(counts) if size is None else size
    out = sp.csr_matrix(counts, dtype=np.float32, copy=True)
    out.data = np.log1p(out.data * np.repeat(target / size, np.diff(out.indptr)), dtype=np.float32)
    return out
