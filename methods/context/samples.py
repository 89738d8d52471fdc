"""A batch of samples of any side: the tokens of their spots, and where the spots lie."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from methods.context.computed import Rows
    from methods.context.expressed import OfSlide


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
        measured: which genes the slide of the sample has, bool `[n, n_genes]`; None likewise.
    """

    parts: np.ndarray
    position: np.ndarray
    valid: np.ndarray
    spot: np.ndarray
    values: np.ndarray | None = None
    size: np.ndarray | None = None
    measured: np.ndarray | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return "parts", "position", "valid", *(() if self.values is None else ("values", "size", "measured"))

    @property
    def n_spots(self) -> int:
        """Number of spots that the samples show, repeats included."""
        return int(self.valid.sum())

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, rows: slice) -> Samples:
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return Samples(**{name: array if array is None else array[rows] for name, array in arrays.items()})


def samples(parts: Rows, position: np.ndarray, spots: np.ndarray, asked: OfSlide | None = None) -> Samples:
    """The samples of some spots of a slide.

    Args:
        parts: of its spots, `[n_spots, groups, p]`.
        position: of its spots, `[n_spots, 2]`.
        spots: of each sample, int `[n, t]`, -1 where padded.
        asked: of its genes.
    """
    valid = spots >= 0
    shown = Samples(parts[spots] * valid[:, :, None, None], position[spots] * valid[:, :, None], valid, spots)
    if asked is None:
        return shown
    measured = np.tile(asked.measured, (len(spots), 1))
    return replace(shown, values=asked.values[spots], size=asked.size[spots], measured=measured)


def stacked(found: list[Samples], t: int) -> Samples:
    """Samples of `t` spots or fewer, one after another, padded: all steps have one shape."""
    wide = [_padded(some, t) for some in found]
    arrays = {field.name: [getattr(some, field.name) for some in wide] for field in fields(Samples)}
    return Samples(**{name: None if of[0] is None else np.concatenate(of) for name, of in arrays.items()})


def _padded(some: Samples, t: int) -> Samples:
    if not (wider := t - some.valid.shape[1]):
        return some

    def pad(array: np.ndarray, value: int = 0) -> np.ndarray:
        return np.pad(array, [(0, 0), (0, wider), *[(0, 0)] * (array.ndim - 2)], constant_values=value)

    of_genes = {name: pad(array) for name in ("values", "size") if (array := getattr(some, name)) is not None}
    arrays = {name: pad(getattr(some, name)) for name in ("parts", "position", "valid")}
    return replace(some, spot=pad(some.spot, -1), **arrays, **of_genes)


def thinned(spots: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` random spots of each sample: int `[n, t]`, -1 where padded → `[n, min(t, most)]`."""
    if spots.shape[1] <= most:
        return spots
    order = np.where(spots >= 0, rng.random(spots.shape), 2).argsort(axis=1)[:, :most]
    return np.take_along_axis(spots, order, axis=1)
