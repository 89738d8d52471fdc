"""Crops of the lattice as samples: the tokens are a crop's spots, the channels some of the genes."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.channels import draw_weighted
from benchmark.units.batch import Batch
from benchmark.units.expression import Field

VALUES_AT_ONCE = 2**25  # 128 MiB of float32


def occupancy(lattice: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every place of a crop of `size` that lies on the lattice, and how many spots it holds there.

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


def members(field: Field, starts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which spots lie in each of the crops that begin at `starts` `[n, 2]`: bool `[n, n_spots]`."""
    start = starts[:, None, :]
    return ((field.lattice >= start) & (field.lattice < start + size)).all(axis=2)


def fill(batch: Batch, rows: np.ndarray, field: Field, member: np.ndarray, genes: np.ndarray) -> None:
    """Write the crops of one slide into some rows of an empty batch.

    Args:
        member: which spots each crop holds, bool `[n, n_spots]`.
        genes: the channels of each crop, int `[n, c]`, or of all of them, `[1, c]`.
    """
    n, c = len(member), genes.shape[1]
    if len(genes) > (at_once := max(1, VALUES_AT_ONCE // (field.n_spots * c))):
        for i in range(0, n, at_once):
            some = slice(i, i + at_once)
            fill(batch, rows[some], field, member[some], genes[some])
        return
    count = member.sum(axis=1)
    t = int(count.max())
    order = np.argsort(~member, axis=1, kind="stable")[:, :t]
    valid = np.arange(t) < count[:, None]
    position = field.position[order]
    centre = (position * valid[:, :, None]).sum(axis=1, keepdims=True) / count[:, None, None]
    dense = torch.from_numpy(field.by_gene[genes.ravel()].toarray()).view(len(genes), c, -1).expand(n, -1, -1)
    values = dense.gather(2, torch.from_numpy(order)[:, None].expand(-1, c, -1)).transpose(1, 2).numpy()
    values[~valid] = 0
    batch.values[rows, :t] = values
    batch.genes[rows, 0] = genes
    batch.position[rows, :t] = (position - centre) * valid[:, :, None]
    batch.valid[rows, :t] = valid
    batch.spot[rows, :t] = np.where(valid, order + field.offset, -1)


def draw_channels(field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """`m` genes for each crop, drawn by their variance over its spots: int64 `[n, m]`."""
    return draw_weighted(variances(field, member), m, rng)


def variances(field: Field, member: np.ndarray) -> np.ndarray:
    """Population variance of every gene over the spots of each crop.

    Args:
        member: which spots a crop holds, bool `[n_crops, n_spots]`.

    Returns:
        `[n_crops, n_genes]`, at least 0.
    """
    share = torch.from_numpy(np.ascontiguousarray((member / member.sum(axis=1, keepdims=True)).T, dtype=np.float32))
    mean, square = (matrix @ share for matrix in field.moments)
    return (square - mean.square()).clamp_(min=0).t().contiguous().numpy()
