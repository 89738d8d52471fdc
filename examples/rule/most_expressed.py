"""An example of a channel rule: the genes that a crop expresses most. Does it matter that genes vary?"""

from __future__ import annotations

import numpy as np

from benchmark.core.contracts import Rule
from benchmark.data.corpus import Corpus
from benchmark.units.expression import Field


class MostExpressed:
    """The genes of greatest sum over the crop's spots."""

    shared = False  # each crop has its own genes

    def fit(self, corpus: Corpus, m: int) -> Rule:
        """Nothing is learned from the training slides."""
        return self

    def choose(self, field: Field, member: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        """Genes of each crop, int64 `[n, m]`; `member` `[n, n_spots]` says which spots it holds."""
        total = (field.by_gene @ member.T.astype(np.float32)).T
        return np.argsort(-total, axis=1, kind="stable")[:, :m]
