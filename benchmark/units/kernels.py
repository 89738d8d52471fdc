"""Compiled loops over the values of chosen spots. They cost in proportion to what those spots hold.

Values are a CSR matrix in three parts: `indptr` int64 `[n_spots + 1]`, `indices` int32 and `values` float32. Spots and
genes of -1 are padding.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

SMALL = 16  # counts below are looked up in a table
INT64, INT32, FLOAT32 = (types.Array(kind, 1, "C", readonly=True) for kind in (types.int64, types.int32, types.float32))
VALUES = "i8[::1], i4[::1], f4[::1], i8[:, ::1]"  # indptr, indices, values, spots


@njit(
    types.void(INT64, INT32, FLOAT32, FLOAT32, INT64, INT64, types.int32[::1], types.float32[::1]),
    cache=True,
)
def read(indptr, indices, counts, scale, spots, rows, out_indices, out_values):
    """Write log1p(count × scale) of some spots as the CSR matrix that begins its rows at `rows` `[n + 1]`.

    Most counts of a spot are small whole numbers, whose logarithm is computed once.

    Args:
        scale: of each spot, float32 `[n_spots]`.
        spots: int64 `[n]`.
    """
    table = np.empty(SMALL, np.float32)
    for i in range(len(spots)):
        spot, to = spots[i], rows[i]
        table[:] = -1
        for at in range(indptr[spot], indptr[spot + 1]):
            count = counts[at]
            small = int(count) if 0 <= count < SMALL else 0
            if small != count:
                value = np.float32(math.log1p(count * scale[spot]))
            else:
                if table[small] < 0:
                    table[small] = np.float32(math.log1p(count * scale[spot]))
                value = table[small]
            out_indices[to] = indices[at]
            out_values[to] = value
            to += 1


@njit(f"void({VALUES}, i8[:, ::1], i4[::1], f4[:, :, ::1])", cache=True)
def pick(indptr, indices, values, spots, genes, column, out):
    """Write the values of some genes in some spots: `out[i, j, k]` of spot `spots[i, j]` and its k-th gene.

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
                    out[i, j, k] = values[at]
        if i == len(spots) - 1 or not shared:
            for k in range(len(chosen)):
                if chosen[k] >= 0:
                    column[chosen[k]] = -1


@njit(f"void({VALUES}, i4[::1], f4[:, :, ::1])", cache=True)
def moments(indptr, indices, values, spots, place, out):
    """Write the mean, and the mean square, of every gene over the spots of each crop.

    Args:
        spots: of each crop, `[n, t]`.
        place: where each gene is in `out`, or -1, int32 `[n_genes]`.
        out: zeros, float32 `[n, n_places, 2]`.
    """
    for i in range(len(spots)):
        sums, n = out[i], 0
        for j in range(spots.shape[1]):
            spot = spots[i, j]
            if spot < 0:
                continue
            n += 1
            for at in range(indptr[spot], indptr[spot + 1]):
                k = place[indices[at]]
                if k >= 0:
                    value = values[at]
                    sums[k, 0] += value
                    sums[k, 1] += value * value
        if n > 0:
            sums /= np.float32(n)
