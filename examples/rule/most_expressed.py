"""An example of a channel rule: the genes that a crop expresses most. Does it matter that genes vary?"""

from __future__ import annotations

import numpy as np

from benchmark.core.contracts import Rule
from benchmark.data.corpus import Corpus
from benchmark.units.expression import Field


class MostExpressed:
    """The genes of greatest mean over the crop's spots."""

    shared = False  # each crop has its own genes

    def fit(self, corpus: Corpus, m: int) -> Rule:
        """Nothing is learned from the training slides."""
        return self

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        """Genes of each crop, int64 `[n, m]`; `spots` `[n, t]` are those that it holds."""
        mean, _ = field.moments(spots)
        return field.panel[np.argsort(-mean, axis=1, kind="stable")[:, :m]]
