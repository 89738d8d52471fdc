"""The slide unit: the spots of a slide are the tokens of one sample, with their positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from benchmark.core.contracts import Rule, UnitName
from benchmark.units.batch import Batch
from benchmark.units.crops import Context, channels, cover, fill, parts
from benchmark.units.expression import Field, fields
from benchmark.units.rules import VarianceDraw

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class SlideUnit:
    """One crop that holds the whole slide, or a random part of a slide of more than `max_spots` spots.

    Attributes:
        rule: chooses the `n_channels` genes of each sample.
        context, size: the samples in which a spot is embedded, as for `cover`.
    """

    n_channels: int = 256
    rule: Rule = field(default_factory=VarianceDraw)
    context: Context = "slide"
    size: int = 8
    max_spots: int = 8192

    name: ClassVar[UnitName] = "slide"
    at_once: ClassVar[int] = 16

    def fit(self, corpus: Corpus) -> Self:
        """The unit with its rule fitted."""
        return replace(self, rule=self.rule.fit(corpus, self.n_channels))

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Mean number of spots of a sample."""
        return float(np.mean([min(slide.n_spots, self.max_spots) for slide in fields(corpus)]))

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` slides, each equally often: whole passes through the corpus in random order."""
        slides = fields(corpus)
        passes = [rng.permutation(len(slides)) for _ in range(-(-n // len(slides)))]
        chosen = np.concatenate(passes)[:n]
        batch = Batch.empty(n, min(max(slide.n_spots for slide in slides), self.max_spots), self.n_channels)
        for row, number in enumerate(chosen):
            slide = slides[number]
            spots = parts(np.arange(slide.n_spots), self.max_spots, rng)[0][None]
            genes = channels(slide, self.rule, spots, self.n_channels, rng)
            fill(batch, np.array([row]), slide, spots, np.zeros((1, 2), np.int64), genes)
        return batch

    def lay(self, field: Field) -> Field:
        """The slide as it is."""
        return field

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """Samples that together embed every spot of a slide."""
        return cover(field, self.context, self.size, self.rule, self.n_channels, tokens, self.max_spots)
