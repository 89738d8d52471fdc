"""What an objective on genes asks of the spots of a corpus: scaled values, or counts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.data.normalisation import sizes

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus
    from methods.context.objectives import Objective
    from methods.context.tokens import Tokeniser


class Expressed(NamedTuple):
    """Of the genes of a tokeniser.

    Attributes:
        group: of each gene, int `[n_genes]`.
        values: of all spots of the corpus, float32 `[n_spots, n_genes]`.
        size: library size of each spot, float32 `[n_spots]`.
    """

    group: np.ndarray
    values: np.ndarray
    size: np.ndarray


@lru_cache(maxsize=1)
def expressed(corpus: Corpus, tokeniser: Tokeniser, objective: Objective) -> Expressed | None:
    """None where the objective asks no gene. All seeds of an objective share them."""
    words, scaling = objective.split("+"), tokeniser.components.scaling
    if "expression" in words:
        values = [scaling.values(slide) for slide in corpus]
    elif "negative_binomial" in words:
        values = [np.asarray(slide.X[:, scaling.genes].toarray(), np.float32) for slide in corpus]
    else:
        return None
    return Expressed(tokeniser.group, np.concatenate(values), np.concatenate([sizes(slide) for slide in corpus]))
