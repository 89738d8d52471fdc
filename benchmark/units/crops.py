"""Crops of the lattice as samples: the tokens are a crop's spots, the channels some of the genes."""

from __future__ import annotations

import numpy as np

from benchmark.channels import draw_weighted
from benchmark.units.batch import Batch, padded
from benchmark.units.expression import Field


def occupancy(lattice: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every place of a crop of `size` that lies on the lattice, and the spots in it.

    Returns:
        starts `[n_places, 2]` (row, column of the first cell) and n_spots `[n_places]`.
    """
    shape = np.maximum(lattice.max(axis=0) + 1, size)
    grid = np.zeros(shape + 1, dtype=np.int64)  # a summed-area table: one row and column of zeros before the counts
    np.add.at(grid, (lattice[:, 0] + 1, lattice[:, 1] + 1), 1)
    table = grid.cumsum(axis=0).cumsum(axis=1)
    h, w = size
    inside = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
    starts = np.stack(np.meshgrid(*map(np.arange, inside.shape), indexing="ij"), axis=-1).reshape(-1, 2)
    return starts, inside.ravel()


def crops(
    field: Field,
    starts: np.ndarray,
    size: tuple[int, int],
    *,
    genes: np.ndarray | None = None,
    m: int = 0,
    rng: np.random.Generator | None = None,
) -> Batch:
    """The crops of one slide that begin at `starts` `[n, 2]`.

    Args:
        genes: the channels, int `[c]`; None draws `m` anew for each crop, by their variance over its spots.
    """
    start = starts[:, None, :]
    member = ((field.lattice >= start) & (field.lattice < start + size)).all(axis=2)
    t = padded(int(member.sum(axis=1).max()))
    order = np.argsort(~member, axis=1, kind="stable")[:, :t]
    if t > order.shape[1]:
        order = np.pad(order, ((0, 0), (0, t - order.shape[1])))
    valid = np.arange(t) < member.sum(axis=1, keepdims=True)
    if genes is None:
        chosen = draw_weighted(variances(field, member), m, rng)
    else:
        chosen = np.broadcast_to(genes, (len(starts), len(genes)))
    values = _values(field, chosen, order, genes is not None)
    values *= valid[:, :, None]
    position = field.position[order]
    centre = (position * valid[:, :, None]).sum(axis=1, keepdims=True) / valid.sum(axis=1)[:, None, None]
    return Batch(
        values,
        np.ascontiguousarray(chosen[:, None, :], dtype=np.int64),
        ((position - centre) * valid[:, :, None]).astype(np.float32),
        valid,
        np.where(valid, order + field.offset, -1),
    )


def variances(field: Field, member: np.ndarray) -> np.ndarray:
    """Population variance of every gene over the spots of each crop.

    Args:
        member: which spots a crop holds, bool `[n_crops, n_spots]`.

    Returns:
        `[n_crops, n_genes]`, at least 0.
    """
    share = np.ascontiguousarray((member / member.sum(axis=1, keepdims=True)).T, dtype=np.float32)
    return np.maximum(field.squared @ share - np.square(field.by_gene @ share), 0).T


def _values(field: Field, chosen: np.ndarray, order: np.ndarray, shared: bool) -> np.ndarray:
    """Expression of the chosen genes in the ordered spots, `[n, t, c]`."""
    n, c = chosen.shape
    if shared:
        return field.by_gene[chosen[0]].T.toarray()[order]
    dense = field.by_gene[chosen.ravel()].toarray().reshape(n, c, -1)
    return np.take_along_axis(dense, order[:, None, :], axis=2).transpose(0, 2, 1)


def concatenate(parts: list[Batch], index: np.ndarray) -> Batch:
    """The samples of several batches in the order given by `index`: the place of each in the result."""
    t = max(part.valid.shape[1] for part in parts)
    back = np.argsort(index)

    def join(name: str) -> np.ndarray:
        arrays = [getattr(part, name) for part in parts]
        if name != "genes":
            arrays = [_widen(array, t, -1 if name == "spot" else 0) for array in arrays]
        return np.concatenate(arrays)[back]

    return Batch(*(join(name) for name in ("values", "genes", "position", "valid", "spot")))


def _widen(array: np.ndarray, t: int, fill: int) -> np.ndarray:
    pad = [(0, 0), (0, t - array.shape[1])] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, pad, constant_values=fill) if t > array.shape[1] else array
