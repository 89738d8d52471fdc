"""Normalisation of counts. It needs NumPy and SciPy only."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def library_size(counts: sp.spmatrix) -> np.ndarray:
    """Sum of the counts of each spot, float32 `[n_spots]`; at least 1, so empty spots stay zero after normalisation."""
    return np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1).astype(np.float32)


def hide(counts: sp.csr_matrix, genes: np.ndarray) -> sp.csr_matrix:
    """The counts `[n_spots, n_genes]` without those of some `genes`, int `[n_hidden]`."""
    shown = np.ones(counts.shape[1], dtype=np.float32)
    shown[genes] = 0
    kept = sp.csr_matrix(counts @ sp.diags_array(shown))
    kept.eliminate_zeros()
    return kept


def lognorm(counts: sp.csr_matrix, target: float = 1e4) -> sp.csr_matrix:
    """log1p of counts per `target`, CSR float32 `[n_spots, n_genes]`: log1p(target × count / library size).

    Args:
        counts: CSR `[n_spots, n_genes]`. Where genes are hidden, the library size is that of the visible ones.
    """
    size = library_size(counts)
    out = sp.csr_matrix(counts, dtype=np.float32, copy=True)
    out.data = np.log1p(out.data * np.repeat(target / size, np.diff(out.indptr)), dtype=np.float32)
    return out
