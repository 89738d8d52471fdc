"""A batch of samples of any side: the tokens of their spots, and where the spots lie."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from methods.context.expressed import Expressed


@dataclass(frozen=True)
class Samples:
    """`n` samples of up to `t` spots.

    Attributes:
        parts: what each group of genes adds to a spot's scores, float32 `[n, t, groups, p]`; 0 where padded.
        position: (y, x) in pitches, float32 `[n, t, 2]`; 0 where padded.
        valid: which spots are not padding, bool `[n, t]`; they come first.
        spot: index of the spot, int64 `[n, t]`; -1 where padded.
        values: what the objective asks of the genes, float32 `[n, t, n_genes]`; None if it asks none.
        size: library size of the spot, float32 `[n, t]`; None likewise.
    """

    parts: np.ndarray
    position: np.ndarray
    valid: np.ndarray
    spot: np.ndarray
    values: np.ndarray | None = None
    size: np.ndarray | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return "parts", "position", "valid", *(() if self.values is None else ("values", "size"))

    @property
    def n_spots(self) -> int:
        """Number of spots that the samples show, repeats included."""
        return int(self.valid.sum())

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, rows: slice) -> Samples:
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return Samples(**{name: array if array is None else array[rows] for name, array in arrays.items()})


def samples(parts: np.ndarray, position: np.ndarray, spots: np.ndarray, asked: Expressed | None = None) -> Samples:
    """The samples of some spots.

    Args:
        parts: of all spots, `[n_spots, groups, p]`.
        position: of all spots, `[n_spots, 2]`.
        spots: of each sample, int `[n, t]`, -1 where padded.
        asked: of all spots.
    """
    valid = spots >= 0
    of_genes = () if asked is None else (asked.values[spots], asked.size[spots])
    return Samples(parts[spots] * valid[:, :, None, None], position[spots] * valid[:, :, None], valid, spots, *of_genes)


def stacked(found: list[np.ndarray], t: int) -> np.ndarray:
    """Tables of spots, int `[n, t]` or narrower, one below another, padded by -1: all steps have one shape."""
    return np.concatenate([np.pad(spots, ((0, 0), (0, t - spots.shape[1])), constant_values=-1) for spots in found])


def thinned(spots: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` random spots of each sample: int `[n, t]`, -1 where padded → `[n, min(t, most)]`."""
    if spots.shape[1] <= most:
        return spots
    order = np.where(spots >= 0, rng.random(spots.shape), 2).argsort(axis=1)[:, :most]
    return np.take_along_axis(spots, order, axis=1)
