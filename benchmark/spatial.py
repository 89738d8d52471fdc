"""Smoothing in space: the mean over a spot and its nearest neighbours."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree


def neighbour_mean(values: np.ndarray, position: np.ndarray, k: int) -> np.ndarray:
    """Mean of `values` `[n_spots, d]` over each spot itself and its `k` nearest others; k = 0 changes nothing.

    Of neighbours at the same distance the tree's order decides, so equal input gives equal output. A slide of
    fewer than k + 1 spots is averaged over those it has.

    Args:
        position: `[n_spots, 2]`, isotropic.
    """
    if k == 0:
        return values
    n_spots = len(position)
    size = min(k + 1, n_spots)
    nearest = cKDTree(position).query(position, k=size)[1].reshape(n_spots, size)
    # Where more than k spots share one place, the tree may leave the spot itself out.
    itself = np.arange(n_spots)
    absent = (nearest != itself[:, None]).all(axis=1)
    nearest[absent, -1] = itself[absent]
    weights = np.full(nearest.size, 1 / size, dtype=values.dtype)
    rows = np.arange(0, nearest.size + 1, size)
    return sp.csr_array((weights, nearest.ravel(), rows), shape=(n_spots, n_spots)) @ values


def morans_i(values: sp.csr_matrix, position: np.ndarray, k: int = 6) -> np.ndarray:
    """Spatial autocorrelation of each column: 1 where neighbours agree, about 0 where place says nothing.

    Moran (1950, Biometrika 37), with the weight 1/k for each of a spot's `k` nearest others. Worked out on the sparse
    values: centring is a correction of the sums.

    Args:
        values: `[n_spots, n_genes]`.
        position: `[n_spots, 2]`, isotropic.

    Returns:
        `[n_genes]`; 0 where a column is constant.
    """
    n = len(position)
    k = min(k, n - 1)
    nearest = cKDTree(position).query(position, k=k + 1)[1][:, 1:]
    weights = sp.csr_array((np.full(n * k, 1 / k), nearest.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    values = sp.csr_array(values, dtype=np.float64)
    mean = values.mean(axis=0)
    product = (weights @ values).multiply(values).sum(axis=0)
    received = weights.sum(axis=0) @ values
    numerator = product - mean * values.sum(axis=0) - mean * received + mean**2 * n
    spread = values.multiply(values).sum(axis=0) - n * mean**2
    return np.where(spread > 1e-9, numerator / np.maximum(spread, 1e-9), 0.0)
