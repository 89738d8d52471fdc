"""A step's samples: the targets, the neighbours that they are seen among, and the genes that they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Batch:
    """`n` spots, each once: first the `s` targets, slide by slide, then their context. None: not read by this design.

    The values of a target's hidden genes are nowhere but in `wanted`.

    Attributes:
        values, genes, there: log1p of counts per 10,000 of the visible genes, `[n, t]`.
        depth: log1p of a spot's counts, `[n, 1]`.
        tile, seen: uint8 `[n, p, p, 3]` (of targets alone, `[s, …]`, where no context is read by its image), and
            whether there is an image.
        near, offset, near_there: rows of each target's neighbours `[s, k]`, (y, x) to them in pitches `[s, k, 2]`.
        niche_tile, niche_seen: image of each target's niche, `[s, p, p, 3]`.
        place: of each target in its slide, from 0 to 1, `[n_slides, s / n_slides, 2]`.
        query, wanted, asked: hidden genes, their values, and which of them count, `[s, q]`.
        target: number of each target among the corpus's units, `[s]`; `spot`: that of its spot, the same but where
            niches and tissues are units too.
    """

    target: np.ndarray
    spot: np.ndarray
    place: np.ndarray | None = None
    values: np.ndarray | None = None
    genes: np.ndarray | None = None
    there: np.ndarray | None = None
    depth: np.ndarray | None = None
    tile: np.ndarray | None = None
    seen: np.ndarray | None = None
    near: np.ndarray | None = None
    offset: np.ndarray | None = None
    near_there: np.ndarray | None = None
    niche_tile: np.ndarray | None = None
    niche_seen: np.ndarray | None = None
    query: np.ndarray | None = None
    wanted: np.ndarray | None = None
    asked: np.ndarray | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        names = tuple(field.name for field in fields(self) if field.name != "spot")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def n_spots(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: slice) -> Batch:
        """A step is drawn as a whole."""
        return self
