"""The slide: all spots of a slide as the tokens of one sample, with their positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.corpus import Corpus
from benchmark.units.batch import Batch
from benchmark.units.crops import concatenate, crops
from benchmark.units.expression import Field, fields


@dataclass(frozen=True)
class SlideUnit:
    """One crop that holds the whole slide; channels are drawn anew each time, by variance in the slide."""

    n_channels: int = 256

    name = "slide"

    def tokens_per_sample(self, corpus: Corpus) -> float:
        return corpus.n_spots / len(corpus)

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` slides, each slide equally often: whole passes through the corpus in random order."""
        passes = [rng.permutation(len(corpus)) for _ in range(-(-n // len(corpus)))]
        chosen = np.concatenate(passes)[:n]
        parts = [self._whole(fields(corpus)[number], rng=rng) for number in chosen]
        return concatenate(parts, np.arange(n))

    def cover(self, field: Field, genes: np.ndarray) -> Batch:
        return self._whole(field, genes=genes)

    def _whole(self, field: Field, **options) -> Batch:
        return crops(field, np.zeros((1, 2), int), tuple(field.lattice.max(axis=0) + 1), m=self.n_channels, **options)
