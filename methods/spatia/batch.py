"""A step's samples: the targets, the neighbours around them, and the hidden genes that a step asks for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Batch:
    """`n` spots, each once: first the `s` targets, slide by slide, then their context.

    An array that the design does not read is None. The values of a target's hidden genes are in `wanted` only.

    Attributes:
        target: number of each target among the corpus's units, `[s]`.
        spot: number of each target's spot, `[s]`. It differs from `target` where niches and tissues are units too.
        position: (y, x) of each target in its slide, from 0 to 1, `[n_slides, s / n_slides, 2]`.
        values, genes, valid: log1p of counts per 10,000 of the visible genes, the genes, and which entries are no
            padding, `[n, t]` each.
        depth: log1p of a spot's counts, `[n, 1]`.
        tile, seen: the image, uint8 `[n, p, p, 3]`, and whether there is one, bool `[n]`. Where no image of the context
            is read, they hold the targets only.
        near: rows of each target's neighbours, `[s, k]`.
        offset: (y, x) from each target to its neighbours, in pitches, `[s, k, 2]`.
        near_valid: which neighbours are no padding, `[s, k]`.
        niche_tile, niche_seen: the image of each target's niche, `[s, p, p, 3]`, and whether there is one, `[s]`.
        query, wanted, asked: hidden genes, their values, and which of them count in the loss, `[s, q]` each.
    """

    target: np.ndarray
    spot: np.ndarray
    position: np.ndarray | None = None
    values: np.ndarray | None = None
    genes: np.ndarray | None = None
    valid: np.ndarray | None = None
    depth: np.ndarray | None = None
    tile: np.ndarray | None = None
    seen: np.ndarray | None = None
    near: np.ndarray | None = None
    offset: np.ndarray | None = None
    near_valid: np.ndarray | None = None
    niche_tile: np.ndarray | None = None
    niche_seen: np.ndarray | None = None
    query: np.ndarray | None = None
    wanted: np.ndarray | None = None
    asked: np.ndarray | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that a module reads."""
        names = tuple(field.name for field in fields(self) if field.name != "spot")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def n_spots(self) -> int:
        """Targets: spots that the loss is taken over."""
        return len(self.target)

    def __getitem__(self, rows: slice) -> Batch:
        """The whole batch, whatever the rows: a step is drawn as a whole."""
        return self
