"""Crops of the lattice as samples: the tokens are the spots of a crop, the channels are some of the genes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from benchmark.core.contracts import Rule
from benchmark.units.batch import Batch
from benchmark.units.expression import Field

VALUES_AT_ONCE = 2**25  # 128 MiB of float32
# The samples in which a spot is embedded. "overlap": crops half a size apart, so a spot lies in several; "centre": one
# crop around each spot; "tiles": crops side by side; "self": each spot alone; "slide": the whole slide.
Context = Literal["overlap", "centre", "tiles", "self", "slide"]


def occupancy(lattice: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every crop of `size` (rows, columns) that lies on the lattice, and its number of spots.

    Args:
        lattice: (row, column) of each spot, `[n_spots, 2]`; a spot with negative numbers is skipped.

    Returns:
        (row, column) of the first cell of each crop, `[n_crops, 2]`, and its number of spots, `[n_crops]`.
    """
    lattice = lattice[lattice[:, 0] >= 0]
    shape = np.maximum(lattice.max(axis=0) + 1, size)
    grid = np.zeros(shape + 1, dtype=np.int64)  # a summed-area table: one row and column of zeros before the counts
    np.add.at(grid, (lattice[:, 0] + 1, lattice[:, 1] + 1), 1)
    table = grid.cumsum(axis=0).cumsum(axis=1)
    h, w = size
    inside = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
    starts = np.stack(np.meshgrid(*map(np.arange, inside.shape), indexing="ij"), axis=-1).reshape(-1, 2)
    return starts, inside.ravel()


def members(field: Field, starts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which spots lie in each of the crops that begin in the cells `starts` `[n, 2]`: bool `[n, n_spots]`."""
    start, on = starts[:, None, :], field.lattice[:, 0] >= 0
    return ((field.lattice >= start) & (field.lattice < start + size)).all(axis=2) & on


def fill(
    batch: Batch, rows: np.ndarray, field: Field, member: np.ndarray, starts: np.ndarray, genes: np.ndarray
) -> None:
    """Write the crops of one slide into some rows of an empty batch.

    Args:
        rows: of the batch, `[n]`.
        member: the spots of each crop, bool `[n, n_spots]`.
        starts: the first cell of each crop, `[n, 2]`.
        genes: the channels of each crop, int `[n, c]`, or of all of them, `[1, c]`.
    """
    n, c = len(member), genes.shape[1]
    if len(genes) > (at_once := max(1, VALUES_AT_ONCE // (field.n_spots * c))):
        for i in range(0, n, at_once):
            chunk = slice(i, i + at_once)
            fill(batch, rows[chunk], field, member[chunk], starts[chunk], genes[chunk])
        return
    count = member.sum(axis=1)
    t = int(count.max())
    order = np.argsort(~member, axis=1, kind="stable")[:, :t]
    valid = np.arange(t) < count[:, None]
    position, cell = field.position[order], field.lattice[order]
    centre = (position * valid[:, :, None]).sum(axis=1, keepdims=True) / count[:, None, None]
    dense = torch.from_numpy(field.by_gene[genes.ravel()].toarray()).view(len(genes), c, -1).expand(n, -1, -1)
    values = dense.gather(2, torch.from_numpy(order)[:, None].expand(-1, c, -1)).transpose(1, 2).numpy()
    values[~valid] = 0
    batch.values[rows, :t] = values
    batch.genes[rows, 0] = genes
    batch.position[rows, :t] = (position - centre) * valid[:, :, None]
    batch.cell[rows, :t] = (cell - starts[:, None]) * valid[:, :, None]
    batch.valid[rows, :t] = batch.read[rows, :t] = valid
    batch.spot[rows, :t] = np.where(valid, order + field.offset, -1)


def cover(field: Field, context: Context, size: int, rule: Rule, m: int, tokens: int) -> Iterator[Batch]:
    """Samples that together embed every spot on the lattice of a slide, in batches of about `tokens` tokens.

    Args:
        context: the samples in which a spot is embedded.
        size: cells along a side of a crop.
        rule, m: choose the `m` channels of each crop.
    """
    rng = np.random.default_rng(0)  # so a rule that draws gives the same channels to the same slide
    on = np.flatnonzero(field.lattice[:, 0] >= 0)
    starts = _starts(field.lattice[on], context, size)
    at_once = max(1, tokens // {"self": 1, "slide": len(on)}.get(context, min(size**2, len(on))))
    for i in range(0, len(starts), at_once):
        chunk = slice(i, i + at_once)
        if context == "self":
            member = on[chunk, None] == np.arange(field.n_spots)
        else:
            side = np.iinfo(np.int32).max if context == "slide" else size
            member = members(field, starts[chunk], (side, side))
        batch = Batch.empty(len(member), int(member.sum(axis=1).max()), m)
        genes = rule.choose(field, member & field.visible, m, rng)
        fill(batch, np.arange(len(member)), field, member, starts[chunk], genes)
        if context == "centre":
            batch.read[:] = batch.spot == (on[chunk] + field.offset)[:, None]
        yield batch


def _starts(lattice: np.ndarray, context: Context, size: int) -> np.ndarray:
    """The first cell of each crop, `[n_crops, 2]`: crops that cover spots in these cells, none of them empty."""
    if context == "slide":
        return lattice.min(axis=0, keepdims=True)
    if context == "self":
        return lattice
    if context == "centre":
        return lattice - size // 2
    if context == "tiles":
        return np.unique(lattice // size, axis=0) * size
    starts, count = occupancy(lattice, (size, size))
    step = max(1, size // 2)
    kept = ((starts % step == 0) | (starts == starts.max(axis=0))).all(axis=1) & (count > 0)
    return starts[kept]
