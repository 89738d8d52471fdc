"""Crops of the lattice as samples: the tokens are the spots of a crop, the channels are some of the genes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from benchmark.core.contracts import Rule
from benchmark.units.batch import Batch
from benchmark.units.expression import Field

VALUES_AT_ONCE = 2**20  # are read together: 4 MiB of float32, which a processor's cache holds
MAX_SPOTS = 8192  # of a slide that are read at once: a larger one is read in random parts
# The samples in which a spot is embedded. "overlap": crops half a size apart, so a spot lies in several; "centre": one
# crop around each spot; "tiles": crops side by side; "self": each spot alone; "slide": the whole slide.
Context = Literal["overlap", "centre", "tiles", "self", "slide"]


def occupancy(lattice: np.ndarray, size: tuple[int, int], over: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Every crop of `size` (rows, columns) that lies on the lattice, and its number of spots.

    Args:
        lattice: (row, column) of each spot, `[n_spots, 2]`; a spot with negative numbers is skipped.
        over: cells by which a crop may hang over each edge.

    Returns:
        (row, column) of the first cell of each crop, `[n_crops, 2]`, and its number of spots, `[n_crops]`.
    """
    lattice = lattice[lattice[:, 0] >= 0] + over
    shape = np.maximum(lattice.max(axis=0) + 1 + over, size)
    grid = np.zeros(shape + 1, dtype=np.int64)  # a summed-area table: one row and column of zeros before the counts
    np.add.at(grid, (lattice[:, 0] + 1, lattice[:, 1] + 1), 1)
    table = grid.cumsum(axis=0).cumsum(axis=1)
    h, w = size
    inside = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
    starts = np.stack(np.meshgrid(*map(np.arange, inside.shape), indexing="ij"), axis=-1).reshape(-1, 2)
    return starts - over, inside.ravel()


def channels(field: Field, rule: Rule, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Up to `m` genes of each crop, chosen by its visible spots, int64 `[n, m]`, or `[1, m]` for all.

    A slide that has measured fewer genes shows all of them; the rest is -1.

    Args:
        spots: of each crop, `[n, t]`, -1 where padded.
    """
    looked_at = np.where((spots >= 0) & field.visible[spots], spots, -1)
    genes = rule.choose(field, looked_at, min(m, len(field.panel)), rng)
    return np.pad(genes, ((0, 0), (0, m - genes.shape[1])), constant_values=-1)


def fill(
    batch: Batch, rows: np.ndarray, field: Field, spots: np.ndarray, starts: np.ndarray, genes: np.ndarray
) -> None:
    """Write the crops of one slide into some rows of an empty batch.

    Args:
        rows: of the batch, `[n]`.
        spots: of each crop, `[n, t]`, -1 where padded.
        starts: the first cell of each crop, `[n, 2]`.
        genes: the channels of each crop, int `[n, c]`, or of all of them, `[1, c]`; -1 where padded.
    """
    t, valid = spots.shape[1], spots >= 0
    position, cell = field.position[spots], field.lattice[spots]
    centre = (position * valid[:, :, None]).sum(axis=1, keepdims=True) / valid.sum(axis=1)[:, None, None]
    at_once = max(1, VALUES_AT_ONCE // max(1, t * genes.shape[1]))
    for i in range(0, len(rows), at_once):
        chunk = slice(i, i + at_once)
        batch.values[rows[chunk], :t] = field.values(spots[chunk], genes if len(genes) == 1 else genes[chunk])
    batch.genes[rows, 0] = np.maximum(genes, 0)
    batch.measured[rows, 0] = genes >= 0
    batch.position[rows, :t] = (position - centre) * valid[:, :, None]
    batch.cell[rows, :t] = (cell - starts[:, None]) * valid[:, :, None]
    batch.valid[rows, :t] = batch.read[rows, :t] = valid
    batch.spot[rows, :t] = np.where(valid, spots + field.offset, -1)


def cover(field: Field, context: Context, size: int, rule: Rule, m: int, tokens: int) -> Iterator[Batch]:
    """Samples that together embed every spot on the lattice of a slide, in batches of about `tokens` tokens.

    Args:
        context: the samples in which a spot is embedded.
        size: cells along a side of a crop.
        rule, m: choose the `m` channels of each crop.
    """
    rng = np.random.default_rng(0)  # so a rule that draws gives the same channels to the same slide
    on, n_before = np.flatnonzero(field.lattice[:, 0] >= 0), 0
    for spots, starts in _crops(field, on, context, size, tokens, rng):
        batch = Batch.empty(len(spots), spots.shape[1], m)
        fill(batch, np.arange(len(spots)), field, spots, starts, channels(field, rule, spots, m, rng))
        if context == "centre":
            batch.read[:] = batch.spot == (on[n_before : n_before + len(spots)] + field.offset)[:, None]
        n_before += len(spots)
        yield batch


def _crops(
    field: Field,
    on: np.ndarray,
    context: Context,
    size: int,
    tokens: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Spots `[n, t]` and first cells `[n, 2]` of the crops that `cover` shows together, for the spots `on` `[n_on]`."""
    if context == "slide":
        for part in parts(on, MAX_SPOTS, rng):
            yield part[None], field.lattice[on].min(axis=0, keepdims=True)
        return
    starts = _starts(field.lattice[on], context, size)
    at_once = max(1, tokens // (1 if context == "self" else min(size**2, len(on))))
    for i in range(0, len(starts), at_once):
        chunk = starts[i : i + at_once]
        yield on[i : i + at_once, None] if context == "self" else field.inside(chunk, (size, size)), chunk


def parts(spots: np.ndarray, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The spots `[n]` of a slide in as few random parts of similar size as have at most `most` spots."""
    n_parts = -(-len(spots) // most)
    if n_parts == 1:
        return [spots]
    return [np.sort(part) for part in np.array_split(rng.permutation(spots), n_parts)]


def _starts(lattice: np.ndarray, context: Context, size: int) -> np.ndarray:
    """The first cell of each crop, `[n_crops, 2]`: crops that cover spots in these cells, none of them empty."""
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
