"""Normalisation of counts. It needs NumPy and SciPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    import anndata as ad


def library_size(counts: sp.spmatrix) -> np.ndarray:
    """Sum of the counts of each spot, float32 `[n_spots]`; at least 1, so empty spots stay zero after normalisation."""
    return np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1).astype(np.float32)


def stated_size(slide: ad.AnnData) -> np.ndarray:
    """Library size of each spot, `[n_spots]`: obs["library_size"] if a slide has it, since some genes may be hidden."""
    return slide.obs["library_size"].to_numpy() if "library_size" in slide.obs else library_size(slide.X)


def lognorm(counts: sp.csr_matrix, target: float = 1e4, size: np.ndarray | None = None) -> sp.csr_matrix:
    """log1p of counts per `target`, CSR float32 `[n_spots, n_genes]`.

    Args:
        counts: CSR `[n_spots, n_genes]`.
        size: library size of each spot, `[n_spots]`; needed if `counts` lacks some genes.
    """
    size = library_size(counts) if size is None else size
    out = sp.csr_matrix(counts, dtype=np.float32, copy=True)
    out.data = np.log1p(out.data * np.repeat(target / size, np.diff(out.indptr)), dtype=np.float32)
    return out
