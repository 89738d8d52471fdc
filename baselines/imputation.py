"""Baselines of imputation: hidden genes from visible ones, by ridge regression or by neighbours in expression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from benchmark.data.gene_selection import moments, top_variance
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.normalisation import normalised
from benchmark.data.panel import measured, without

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget

ALPHAS = tuple(np.logspace(1, 5, 9))  # strengths of ridge; one is picked by leave-one-out over the training spots


@dataclass
class Ridge:
    """Ridge regression of each hidden gene on visible genes.

    Attributes:
        n_genes: visible genes that are used: those that vary most in the training slides.
        neighbours: spatial neighbours that the visible expression is averaged over; 0: none.
    """

    n_genes: PositiveInt = 500
    neighbours: NonNegativeInt = 0
    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Keep the training slides; `impute` fits a model for each set of hidden genes. Nothing is spent."""
        self.corpus = corpus

    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000 of the genes `hidden` `[n_hidden]`, `[n_spots, n_hidden]`."""
        visible = inputs(self.corpus, tuple(hidden.tolist()), self.n_genes)
        model = self._model(tuple(hidden.tolist()), tuple(visible.tolist()))
        values = features(self.corpus, slide, hidden, visible, self.neighbours)
        return model.predict(values).reshape(slide.n_obs, len(hidden))

    def _model(self, hidden: tuple[int, ...], visible: tuple[int, ...]) -> Any:
        """The fitted regressor of scikit-learn."""
        return ridge(self.corpus, hidden, visible, self.neighbours)


@dataclass
class KNNInSpace(Ridge):
    """Mean of the `k` training spots whose visible expression, averaged over spatial neighbours, is most alike."""

    n_genes: PositiveInt = 500
    neighbours: NonNegativeInt = 8
    k: PositiveInt = 30

    def _model(self, hidden: tuple[int, ...], visible: tuple[int, ...]) -> Any:
        """The fitted regressor of scikit-learn."""
        return nearest(self.corpus, hidden, visible, self.neighbours, self.k)


def inputs(corpus: Corpus, hidden: tuple[int, ...], n_genes: int) -> np.ndarray:
    """The visible genes that vary most in the training slides, `[n_genes]`."""
    ordered = top_variance(corpus, len(corpus.genes))
    return ordered[~np.isin(ordered, hidden)][:n_genes]


def features(corpus: Corpus, slide: ad.AnnData, hidden: np.ndarray, genes: np.ndarray, neighbours: int) -> np.ndarray:
    """Log-normalised values of `genes` scaled to variance 1 over `corpus` and averaged over neighbours.

    A spot's library size is the sum of all but the `hidden` genes, in training slides too, where all are known.

    Returns:
        `[n_spots, n_genes]`.
    """
    mean, variance = (values[genes].astype(np.float32) for values in moments(corpus))
    values = normalised(without(slide, hidden))[:, genes].toarray()
    values = (values - mean) / np.sqrt(np.where(variance > 0, variance, 1))
    values[:, ~measured(slide)[genes]] = 0  # a gene that the slide lacks is at its mean
    return neighbour_mean(values, slide.obsm["position"], neighbours)


def learned(
    corpus: Corpus, hidden: tuple[int, ...], visible: tuple[int, ...], neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features `[n_spots, n_visible]` and values of the hidden genes `[n_spots, n_hidden]` of all training spots."""
    genes = np.array(hidden), np.array(visible)
    values = np.concatenate([features(corpus, slide, *genes, neighbours) for slide in corpus])
    return values, np.concatenate([normalised(slide)[:, list(hidden)].toarray() for slide in corpus])


@lru_cache(maxsize=8)  # one for each fold of genes; all seeds and all slides share it
def ridge(corpus: Corpus, hidden: tuple[int, ...], visible: tuple[int, ...], neighbours: int) -> Any:
    """Ridge regression of scikit-learn, fitted on all training spots."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(ALPHAS).fit(*learned(corpus, hidden, visible, neighbours))


@lru_cache(maxsize=8)
def nearest(corpus: Corpus, hidden: tuple[int, ...], visible: tuple[int, ...], neighbours: int, k: int) -> Any:
    """k-NN regression of scikit-learn, fitted on all training spots."""
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(min(k, corpus.n_spots)).fit(*learned(corpus, hidden, visible, neighbours))
