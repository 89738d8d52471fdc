"""Compiled loops over the counts of chosen spots. They cost in proportion to what those spots hold.

Counts are a CSR matrix in three parts: `indptr` int64 `[n_spots + 1]`, `indices` int32 and `data` float32. The value of
a count x is log1p(scale × x), with the `scale` float32 `[n_spots]` of its spot. Spots and genes of -1 are padding.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def pick(indptr, indices, data, scale, spots, genes, column, out):
    """Write scale × x of some genes in some spots: `out[i, j, k]` of spot `spots[i, j]` and its k-th gene.

    Args:
        spots: `[n, t]`.
        genes: `[n, c]`, or `[1, c]` for all.
        column: -1 for every gene, int32 `[n_genes]`; it is used, and -1 again at the end.
        out: zeros, float32 `[n, t, c]`.
    """
    shared = len(genes) == 1
    for i in range(len(spots)):
        chosen = genes[0] if shared else genes[i]
        if i == 0 or not shared:
            for k in range(len(chosen)):
                if chosen[k] >= 0:
                    column[chosen[k]] = k
        for j in range(spots.shape[1]):
            spot = spots[i, j]
            if spot < 0:
                continue
            for at in range(indptr[spot], indptr[spot + 1]):
                k = column[indices[at]]
                if k >= 0:
                    out[i, j, k] = data[at] * scale[spot]
        if i == len(spots) - 1 or not shared:
            for k in range(len(chosen)):
                if chosen[k] >= 0:
                    column[chosen[k]] = -1


@njit(cache=True, nogil=True)
def moments(indptr, indices, data, scale, spots, place, mean, square):
    """Write the mean, and the mean square, of every gene over the spots of each crop.

    Args:
        spots: of each crop, `[n, t]`.
        place: column of each gene in the results, or -1, int32 `[n_genes]`.
        mean, square: zeros, float32 `[n, n_columns]`.
    """
    table = np.empty(32, np.float32)  # most counts are small whole numbers: their values are computed once a spot
    for i in range(len(spots)):
        n = 0
        for j in range(spots.shape[1]):
            n += spots[i, j] >= 0
        for j in range(spots.shape[1]):
            spot = spots[i, j]
            if spot < 0:
                continue
            table[:] = -1
            for at in range(indptr[spot], indptr[spot + 1]):
                k = place[indices[at]]
                if k < 0:
                    continue
                count = data[at]
                small = int(count)
                if count == small and small < 32:
                    if table[small] < 0:
                        table[small] = np.log1p(count * scale[spot])
                    value = table[small]
                else:
                    value = np.log1p(count * scale[spot])
                mean[i, k] += value
                square[i, k] += value * value
        if n > 0:
            mean[i] /= np.float32(n)
            square[i] /= np.float32(n)
