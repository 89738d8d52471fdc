"""What an objective on genes asks of the spots of a corpus: scaled values, or counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.data.components import MOST, Scaling
from benchmark.data.normalisation import sizes
from benchmark.units.expression import Field, fields
from methods.context.computed import Computed, Rows

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus
    from methods.context.objectives import Objective
    from methods.context.tokens import Tokeniser


class OfSlide(NamedTuple):
    """What is asked of one slide.

    Attributes:
        values: float32 `[n_spots, n_genes]`.
        size: library size of each spot, float32 `[n_spots]`.
        measured: which of the genes the slide has, bool `[n_genes]`. The others are not asked.
    """

    values: Rows
    size: np.ndarray
    measured: np.ndarray


class Expressed(NamedTuple):
    """Of the genes of a tokeniser.

    Attributes:
        group: of each gene, int `[n_genes]`.
        share: of each gene in the counts of the spots on which it was measured, float32 `[n_genes]`.
        slides: what is asked of each slide.
    """

    group: np.ndarray
    share: np.ndarray
    slides: Sequence[OfSlide]


@lru_cache(maxsize=1)
def expressed(corpus: Corpus, tokeniser: Tokeniser, objective: Objective) -> Expressed | None:
    """None where the objective asks no gene. All seeds of an objective share them. Values of a corpus of more than
    `MOST` spots are computed as they are asked for."""
    words, scaling = objective.split("+"), tokeniser.components.scaling
    scaled, genes = "expression" in words, scaling.genes
    if not {"expression", "negative_binomial"} & set(words):
        return None
    slides, counts, of_all = [], np.zeros(len(genes)), np.zeros(len(genes))
    for slide, laid in zip(corpus, fields(corpus), strict=True):
        of = partial(_scaled, scaling, laid, scaling.moments(slide)) if scaled else partial(_counts, laid, genes)
        values: Rows = Computed(of)
        if corpus.n_spots <= MOST:
            values = values[np.arange(laid.n_spots)]
        has = np.isin(genes, laid.panel)
        slides.append(OfSlide(values, sizes(slide), has))
        counts += np.asarray(slide.X.sum(axis=0)).ravel()[genes]
        of_all += has * slides[-1].size.sum(dtype=np.float64)
    return Expressed(tokeniser.group, (counts / np.maximum(of_all, 1)).astype(np.float32), slides)


def _scaled(scaling: Scaling, laid: Field, moments: tuple[np.ndarray, np.ndarray], spots: np.ndarray) -> np.ndarray:
    return scaling.scaled(laid.rows(spots), *moments)


def _counts(laid: Field, genes: np.ndarray, spots: np.ndarray) -> np.ndarray:
    return np.asarray(laid.counts[spots][:, genes].toarray(), np.float32)
