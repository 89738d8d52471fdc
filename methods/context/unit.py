"""The unit as one dial: a sample is a crop of any side, from one spot to the whole slide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np

from benchmark.core.contracts import UnitName
from benchmark.core.errors import UnitBenchError
from benchmark.units.crops import occupancy, parts
from benchmark.units.expression import Field, fields
from methods.context.computed import Rows
from methods.context.samples import Samples, samples, stacked, thinned

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus
    from methods.context.expressed import Expressed

Side = Literal[1, 2, 4, 8, 16, 32, "slide"]
Passes = Literal[1, 4, 16]
MIN_OCCUPANCY = 0.25  # share of a crop's cells that hold a spot
MOST_OVER = 8  # cells by which a crop hangs over the edge of a slide; or half its side, if that is less
MOST = 256  # spots that a sample shows; a step of any side costs about what one such sample costs
TOLERANCE = 0.06  # of the cost of a step, which is why arms of all sides take the same number of steps within 10%
MOST_READ = 4992  # spots of a slide that are read at once: as many as a Visium slide has


@dataclass(frozen=True)
class ContextUnit:
    """Samples of one side.

    A sample is one spot, or the spots of a crop that is at least a quarter full, or all spots of a slide. Of more than
    `most` spots it shows a random part, at their own positions. Slides are drawn in proportion to their spots.

    Attributes:
        most: spots that a sample is padded to; see `step_of`.
        samples_per_step: see `step_of`.
        starts: of each slide, the first cells of the crops that may be drawn, `[n_crops, 2]`.
        parts: of each slide, `[n_spots, groups, p]`; see `Tokeniser`.
        asked: what the objective asks of genes, if it does.
    """

    side: Side
    most: int
    samples_per_step: int
    starts: tuple[np.ndarray, ...]
    parts: Sequence[Rows]
    asked: Expressed | None = None

    at_once: ClassVar[int] = 1

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        side: Side,
        width: int,
        parts: Sequence[Rows],
        asked: Expressed | None = None,
        beside: float = 0,
    ) -> Self:
        """The unit for these slides and a trunk of this `width`.

        Args:
            beside: see `work`.

        Raises:
            UnitBenchError: no crop is full enough.
        """
        slides = fields(corpus)
        starts, counts = zip(*(candidates(slide, side) for slide in slides), strict=True)
        fullest = max(int(count.max(initial=0)) for count in counts)
        if not fullest:
            cause = f"no crop of {side} × {side} cells holds {MIN_OCCUPANCY * side**2:.0f} spots on any slide"
            raise UnitBenchError("context", cause, "set a smaller side")
        most, samples_per_step = step_of(min(fullest, most_shown(side)), width, beside)
        return cls(side, most, samples_per_step, starts, parts, asked)

    @property
    def name(self) -> UnitName:
        return unit_name(self.side)

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Padding counts: it is computed."""
        return self.most

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Samples:
        """`n` random samples."""
        slides = fields(corpus)
        weight = np.array([slide.n_spots * len(start) > 0 for slide, start in zip(slides, self.starts, strict=True)])
        weight = weight * [slide.n_spots for slide in slides]
        drawn = rng.choice(len(slides), size=n, p=weight / weight.sum())
        found = []
        for number in np.unique(drawn):
            n_here, slide = int((drawn == number).sum()), slides[number]
            spots = some(slide, self.side, self.starts[number], n_here, self.most, rng)
            asked = self.asked and self.asked.slides[number]
            shown = samples(self.parts[number], slide.position, spots, asked)
            found.append(replace(shown, spot=np.where(spots >= 0, spots + slide.offset, -1)))
        return stacked(found, self.most)


def work(n_spots: int, width: int, beside: float = 0) -> float:
    """FLOPs of a sample, over those that the trunk takes for one spot without attention.

    A spot takes 24 width² in a layer, and 4 width more for each spot that it attends to.

    Args:
        beside: what each spot takes beside the trunk, over what it takes of the trunk.
    """
    return n_spots * (1 + beside + n_spots / (6 * width))


def step_of(most: int, width: int, beside: float = 0) -> tuple[int, int]:
    """The spots that a sample is padded to, and the samples of a step, so that steps of all sides cost about the same.

    A step is to cost what one sample of `MOST` spots costs. Where no number of samples of `most` spots comes near that,
    as where a single one costs two thirds of it, they are padded until it does.

    Args:
        most: spots of the fullest sample, 1 to `MOST`.
        beside: see `work`.
    """
    whole = work(MOST, width, beside)
    samples = whole / work(most, width, beside)
    if abs(round(samples) / samples - 1) <= TOLERANCE:
        return most, round(samples)
    n, each = int(samples), 1 + beside
    return round(3 * width * (math.sqrt(each**2 + 2 * whole / n / (3 * width)) - each)), n  # the inverse of `work`


def unit_name(side: Side) -> UnitName:
    """What the benchmark calls a sample of this side."""
    return "spot" if side == 1 else "slide" if side == "slide" else "patch"


def some(slide: Field, side: Side, starts: np.ndarray, n: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """The spots of `n` random samples of a slide, at most `most` of each, int `[n, t]`, -1 where padded.

    Args:
        starts: the first cells of the crops that may be drawn, `[n_crops, 2]`.
    """
    if side == 1:
        return rng.integers(slide.n_spots, size=(n, 1))
    if side == "slide":
        return np.stack([rng.choice(slide.n_spots, min(most, slide.n_spots), replace=False) for _ in range(n)])
    return thinned(slide.inside(starts[rng.integers(len(starts), size=n)], (side, side)), most, rng)


def most_shown(side: Side) -> int:
    """Spots that a sample shows, at most: as many as a crop has cells, and `MOST`."""
    return MOST if side == "slide" else min(side**2, MOST)


def candidates(slide: Field, side: Side) -> tuple[np.ndarray, np.ndarray]:
    """The crops that are full enough: their first cells `[n_crops, 2]`, and their numbers of spots `[n_crops]`."""
    if side in (1, "slide"):  # which are drawn without
        return np.zeros((1, 2), np.int32), np.array([1 if side == 1 else slide.n_spots])
    starts, count = occupancy(slide.lattice, (side, side), min(side // 2, MOST_OVER))
    kept = count >= max(1, MIN_OCCUPANCY * side**2)
    return starts[kept].astype(np.int32), count[kept]


def cover(slide: Field, side: Side, passes: Passes, tokens: int) -> Iterator[np.ndarray]:
    """The spots of samples that together show every spot of a slide, int `[n, t]` of about `tokens` each; -1: padding.

    Crops lie a side apart, or a half or a quarter of it, and hang over the edges, so that every spot is seen in 1, 4 or
    16 `passes` (in 4 at most where a side has two cells). A spot alone and a slide look the same in every pass, so they
    are read once.
    """
    if side == "slide":
        yield from (part[None] for part in parts(np.arange(slide.n_spots), MOST_READ, np.random.default_rng(0)))
        return
    if side == 1:
        yield from np.array_split(np.arange(slide.n_spots)[:, None], -(-slide.n_spots // tokens))
        return
    step = max(1, side // math.isqrt(passes))
    starts, count = occupancy(slide.lattice, (side, side), side - 1)
    starts = starts[(starts % step == 0).all(axis=1) & (count > 0)]
    for some in np.array_split(starts, -(-len(starts) * side**2 // tokens)):
        yield slide.inside(some, (side, side))
