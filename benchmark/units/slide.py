"""The slide: all spots of a slide as the tokens of one sample, with their positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.corpus import Corpus
from benchmark.units.batch import Batch
from benchmark.units.crops import draw_channels, fill
from benchmark.units.expression import Field, fields


@dataclass(frozen=True)
class SlideUnit:
    """One crop that holds the whole slide; channels are drawn anew each time, by variance in the slide."""

    n_channels: int = 256

    name = "slide"
    at_once = 16

    def tokens_per_sample(self, corpus: Corpus) -> float:
        return float(np.mean([field.n_spots for field in fields(corpus)]))

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` slides, each slide equally often: whole passes through the corpus in random order."""
        passes = [rng.permutation(len(corpus)) for _ in range(-(-n // len(corpus)))]
        chosen = np.concatenate(passes)[:n]
        batch = Batch.empty(n, int(corpus.table["n_spots"].max()), self.n_channels)
        for row, number in enumerate(chosen):
            field = fields(corpus)[number]
            everything = np.ones((1, field.n_spots), dtype=bool)
            genes = draw_channels(field, everything, self.n_channels, rng)
            fill(batch, np.array([row]), field, everything, genes)
        return batch

    def cover(self, field: Field, genes: np.ndarray) -> Batch:
        batch = Batch.empty(1, field.n_spots, len(genes))
        fill(batch, np.arange(1), field, np.ones((1, field.n_spots), dtype=bool), genes[None])
        return batch
