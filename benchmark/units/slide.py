"""The slide: all spots of a slide as the tokens of one sample, with their positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.contracts import Rule
from benchmark.units.batch import Batch
from benchmark.units.crops import Context, cover, fill
from benchmark.units.expression import Field, fields
from benchmark.units.rules import VarianceDraw

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class SlideUnit:
    """One crop that holds the whole slide; `context` and `size` say what a spot is read in afterwards."""

    n_channels: int = 256
    rule: Rule = field(default_factory=VarianceDraw)
    context: Context = "slide"
    size: int = 8

    name = "slide"
    at_once = 16

    def fit(self, corpus: Corpus) -> SlideUnit:
        return replace(self, rule=self.rule.fit(corpus, self.n_channels))

    def tokens_per_sample(self, corpus: Corpus) -> float:
        return float(np.mean([its.n_spots for its in fields(corpus)]))

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` slides, each slide equally often: whole passes through the corpus in random order."""
        slides = fields(corpus)
        passes = [rng.permutation(len(slides)) for _ in range(-(-n // len(slides)))]
        chosen = np.concatenate(passes)[:n]
        batch = Batch.empty(n, max(its.n_spots for its in slides), self.n_channels)
        for row, number in enumerate(chosen):
            its = slides[number]
            everything = np.ones((1, its.n_spots), dtype=bool)
            genes = self.rule.choose(its, everything, self.n_channels, rng)
            fill(batch, np.array([row]), its, everything, np.zeros((1, 2), np.int64), genes)
        return batch

    def lay(self, field: Field) -> Field:
        return field

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """Samples that speak for every spot of a slide."""
        return cover(field, self.context, self.size, self.rule, self.n_channels, tokens)
