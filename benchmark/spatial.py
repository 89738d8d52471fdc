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
