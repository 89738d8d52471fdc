"""The patch unit: a square crop of the lattice. Its tokens are spots, its channels are some of the genes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np

from benchmark.core.contracts import Rule, UnitName
from benchmark.core.errors import UnitBenchError
from benchmark.units.batch import Batch
from benchmark.units.crops import Context, channels, cover, fill, occupancy
from benchmark.units.expression import SPOTS_AT_ONCE, Field, fields, stretched
from benchmark.units.rules import VarianceDraw

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

MOST_VALUES = 2**25  # of a draw: 128 MiB of float32
Lattice = Literal["physical", "released"]
STRETCHED = 139  # the last cell of an axis in the released code's lattice


@dataclass(frozen=True)
class PatchUnit:
    """Crops of `size` × `size` cells, at least a share `min_occupancy` of them occupied.

    Attributes:
        rule: chooses the genes of each crop.
        lattice: "physical", in pitches, or "released", each axis stretched to 140 cells.
        crops_per_slide: so many crops of each slide, drawn once; None: drawn anew, slides in proportion to their spots.
        context: the samples in which a spot is embedded, one of `CONTEXTS`.
        sparse_slides_dropped: whether a slide without a crop that is full enough is left out; else it is an error.
    """

    size: int = 8
    n_channels: int = 256
    min_occupancy: float = 0.25
    rule: Rule = field(default_factory=VarianceDraw)
    lattice: Lattice = "physical"
    crops_per_slide: int | None = None
    context: Context = "overlap"

    name: ClassVar[UnitName] = "patch"
    sparse_slides_dropped: ClassVar[bool] = False

    @property
    def at_once(self) -> int:
        """Crops to draw at a time: as many as `MOST_VALUES` allows, at most 2,048."""
        return max(1, min(2048, MOST_VALUES // (self.size**2 * self.n_channels)))

    def fit(self, corpus: Corpus) -> Self:
        """The unit with its rule fitted."""
        return replace(self, rule=self.rule.fit(corpus, self.n_channels))

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: the patch is larger than every slide, or a slide has no crop that is full enough."""
        slides = laid(corpus, self.lattice)
        if self.size > (widest := max(int(slide.lattice.max()) + 1 for slide in slides)):
            cause = f"a patch of {self.size} cells is larger than every slide (widest: {widest})"
            raise UnitBenchError("patch unit", cause, "set a smaller size")
        without = [
            slide for slide, (_, count) in zip(corpus.names, self._candidates(corpus), strict=True) if not len(count)
        ]
        if len(without) > (len(corpus) - 1 if self.sparse_slides_dropped else 0):
            least = int(np.ceil(self.min_occupancy * self.size**2))
            named = ", ".join(without[:5]) + (", …" if len(without) > 5 else "")
            cause = (
                f"no crop of {self.size} × {self.size} cells holds {least} spots on {len(without)} slide(s): {named}"
            )
            raise UnitBenchError("patch unit", cause, "set a smaller min_occupancy or size")

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Mean number of spots in the crops that are drawn."""
        crops, share = self._candidates(corpus), self._share(corpus)
        return float(sum(weight * count.mean() for weight, (_, count) in zip(share, crops, strict=True) if weight))

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` random crops. The channels of each are chosen anew."""
        crops, slides = self._candidates(corpus), laid(corpus, self.lattice)
        drawn = rng.choice(len(crops), size=n, p=self._share(corpus))  # the slide of each crop
        batch = Batch.empty(n, max(int(count.max(initial=0)) for _, count in crops), self.n_channels)
        for number in np.unique(drawn):
            rows = np.flatnonzero(drawn == number)
            starts, _ = crops[number]
            starts = starts[rng.integers(len(starts), size=len(rows))]
            slide, at_once = slides[number], max(1, SPOTS_AT_ONCE // self.size**2)
            for i in range(0, len(rows), at_once):
                part = slice(i, i + at_once)
                spots = slide.inside(starts[part], (self.size, self.size))
                genes = channels(slide, self.rule, spots, self.n_channels, rng)
                fill(batch, rows[part], slide, spots, starts[part], genes)
        return batch

    def lay(self, field: Field) -> Field:
        """The slide on the unit's lattice."""
        return field if self.lattice == "physical" else stretched(field, STRETCHED)

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """Samples that together embed every spot of a slide on the unit's lattice."""
        return cover(field, self.context, self.size, self.rule, self.n_channels, tokens)

    def _candidates(self, corpus: Corpus) -> list[tuple[np.ndarray, np.ndarray]]:
        return candidates(corpus, self.size, self.min_occupancy, self.lattice, self.crops_per_slide)

    def _share(self, corpus: Corpus) -> np.ndarray:
        """Share of the crops that come from each slide, `[n_slides]`."""
        n_spots = np.array([slide.n_spots for slide in fields(corpus)])
        weight = n_spots if self.crops_per_slide is None else np.ones(len(n_spots))
        weight = weight * [len(count) > 0 for _, count in self._candidates(corpus)]
        return weight / weight.sum()


@lru_cache(maxsize=8)
def candidates(
    corpus: Corpus, size: int, min_occupancy: float, lattice: Lattice = "physical", crops_per_slide: int | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The crops of each slide that are full enough: their first cells `[n_crops, 2]`, and their numbers of spots."""
    crops = []
    for number, slide in enumerate(laid(corpus, lattice)):
        starts, count = occupancy(slide.lattice, (size, size))
        kept = np.flatnonzero(count >= max(1, min_occupancy * size**2))
        if crops_per_slide and len(kept):
            kept = kept[np.random.default_rng([0, number]).integers(len(kept), size=crops_per_slide)]
        crops.append((starts[kept], count[kept]))
    return crops


def laid(corpus: Corpus, lattice: Lattice) -> tuple[Field, ...]:
    """The slides of the corpus on the lattice "physical" or "released"."""
    return fields(corpus) if lattice == "physical" else _stretched(corpus)


@lru_cache(maxsize=2)
def _stretched(corpus: Corpus) -> tuple[Field, ...]:
    return tuple(stretched(slide, STRETCHED) for slide in fields(corpus))
