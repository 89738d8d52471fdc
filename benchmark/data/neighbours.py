"""Nearest neighbours in space: the mean over them, and the spatial autocorrelation of genes (Moran's I)."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp

GENES_AT_ONCE = 64  # of Moran's I, in double precision


def neighbour_mean(values: np.ndarray, position: np.ndarray, k: int) -> np.ndarray:
    """Mean of `values` `[n_spots, d]` over each spot and its `k` nearest others, `[n_spots, d]`; k = 0 changes nothing.

    Between neighbours at the same distance the order of the tree decides, so equal input gives equal output. A slide of
    fewer than k + 1 spots is averaged over all its spots.

    Args:
        position: `[n_spots, 2]`, isotropic.
    """
    return averaging(position, k, values.dtype) @ values if k else values


def averaging(position: np.ndarray, k: int, dtype: np.dtype | type = np.float32) -> sp.csr_array:
    """The matrix `[n_spots, n_spots]` whose product with values of that type is their `neighbour_mean`."""
    return _near(position, k) * np.dtype(dtype).type(1 / min(k + 1, len(position)))


def morans_i(values: sp.csr_matrix, position: np.ndarray, k: int = 6) -> np.ndarray:
    """Spatial autocorrelation of each gene: 1 where neighbours agree, about 0 where position tells nothing.

    Moran (1950, Biometrika 37), with equal weights for each of a spot's `k` nearest others.

    Args:
        values: `[n_spots, n_genes]`.
        position: `[n_spots, 2]`, isotropic.

    Returns:
        `[n_genes]`; 0 for a constant gene.
    """
    from scanpy.metrics import morans_i as of_rows

    others = _near(position, k) - sp.eye_array(len(position), dtype=np.float32, format="csr")
    others.eliminate_zeros()
    others, by_gene = sp.csr_matrix(others), sp.csc_matrix(values)
    found = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*were constant")
        for start in range(0, by_gene.shape[1], GENES_AT_ONCE):
            some = by_gene[:, start : start + GENES_AT_ONCE]
            found.append(of_rows(others, sp.csr_matrix(some.T, dtype=np.float64)))
    return np.nan_to_num(np.concatenate(found))


def _near(position: np.ndarray, k: int) -> sp.csr_array:
    """Ones at each spot itself and at its `k` nearest others, or at all if they are fewer: `[n_spots, n_spots]`."""
    from scipy.spatial import cKDTree  # slow to import, and many commands need no neighbours

    n_spots = len(position)
    size = min(k + 1, n_spots)
    nearest = cKDTree(position).query(position, k=size)[1].reshape(n_spots, size)
    # If more than k spots share a position, the tree may leave the spot itself out.
    itself = np.arange(n_spots)
    absent = (nearest != itself[:, None]).all(axis=1)
    nearest[absent, -1] = itself[absent]
    rows = np.arange(0, nearest.size + 1, size)
    return sp.csr_array((np.ones(nearest.size, np.float32), nearest.ravel(), rows), shape=(n_spots, n_spots))
