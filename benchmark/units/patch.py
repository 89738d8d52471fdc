"""The patch: a square crop of the lattice; the tokens are its spots, the channels genes drawn anew for each patch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmark.corpus import Corpus
from benchmark.errors import UnitBenchError
from benchmark.units.batch import Batch
from benchmark.units.crops import VALUES_AT_ONCE, draw_channels, fill, members, occupancy
from benchmark.units.expression import Field, fields


@dataclass(frozen=True)
class PatchUnit:
    """Crops of `size` × `size` cells with at least `min_occupancy` of the cells filled that the fullest crop fills."""

    size: int = 8
    n_channels: int = 256
    min_occupancy: float = 0.25

    name = "patch"

    @property
    def at_once(self) -> int:
        return max(1, min(2048, VALUES_AT_ONCE // (self.size**2 * self.n_channels)))

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Spots in a crop, on average over the places that are drawn."""
        return float(
            np.average(
                [c.mean() for _, c in places(corpus, self.size, self.min_occupancy)],
                weights=corpus.table["n_spots"],
            )
        )

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` random crops: slides in proportion to their spots, places evenly, channels by variance in the crop."""
        room = places(corpus, self.size, self.min_occupancy)
        share = corpus.table["n_spots"].to_numpy() / corpus.n_spots
        slide = rng.choice(len(share), size=n, p=share)
        batch = Batch.empty(n, max(int(count.max()) for _, count in room), self.n_channels)
        for number in np.unique(slide):
            rows = np.flatnonzero(slide == number)
            starts, _ = room[number]
            field = fields(corpus)[number]
            member = members(field, starts[rng.integers(len(starts), size=len(rows))], self._size)
            fill(batch, rows, field, member, draw_channels(field, member, self.n_channels, rng))
        return batch

    def cover(self, field: Field, genes: np.ndarray) -> Batch:
        """Overlapping crops, half a size apart, that hold every spot of a slide at least once."""
        starts, count = occupancy(field.lattice, self._size)
        step = max(1, self.size // 2)
        kept = ((starts % step == 0) | (starts == starts.max(axis=0))).all(axis=1) & (count > 0)
        batch = Batch.empty(int(kept.sum()), int(count[kept].max()), len(genes))
        member = members(field, starts[kept], self._size)
        fill(batch, np.arange(len(batch)), field, member, genes[None])
        return batch

    @property
    def _size(self) -> tuple[int, int]:
        return self.size, self.size


@lru_cache(maxsize=8)
def places(corpus: Corpus, size: int, min_occupancy: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each slide, where a crop may begin and how many spots it then holds."""
    found = []
    for slide, field in zip(corpus.names, fields(corpus), strict=True):
        if size > (field.lattice.max(axis=0) + 1).max():
            raise UnitBenchError(
                f"slide {slide}", f"a patch of {size} cells is larger than the slide", "set a smaller size"
            )
        starts, count = occupancy(field.lattice, (size, size))
        kept = count >= max(1, min_occupancy * count.max())
        found.append((starts[kept], count[kept]))
    return found
