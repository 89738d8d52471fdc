"""Baselines of imputation: hidden genes from the visible ones, by neighbours in expression or by ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.gene_selection import moments, top_variance
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.normalisation import lognorm, stated_size

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

ALPHAS = tuple(np.logspace(1, 5, 9))  # strengths of ridge, of which leaving out each training spot in turn picks one


@dataclass
class Ridge:
    """Ridge regression of each hidden gene on the `n_genes` visible ones that vary most in the training slides.

    `neighbours`: how many spatial neighbours the visible expression is averaged over; 0 leaves each spot by itself.
    """

    n_genes: int = 500
    neighbours: int = 0
    unit = "none"

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        self.corpus = corpus

    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """`[n_spots, n_hidden]` log-normalised values."""
        visible = inputs(self.corpus, tuple(hidden.tolist()), self.n_genes)
        model = self._model(tuple(hidden.tolist()), tuple(visible.tolist()))
        return model.predict(features(self.corpus, slide, visible, self.neighbours)).reshape(slide.n_obs, len(hidden))

    def _model(self, hidden: tuple[int, ...], visible: tuple[int, ...]):
        return ridge(self.corpus, hidden, visible, self.neighbours)


@dataclass
class KNNInSpace(Ridge):
    """Mean of the `k` training spots whose visible expression, averaged over spatial neighbours, is most alike."""

    n_genes: int = 500
    neighbours: int = 8
    k: int = 30

    def _model(self, hidden: tuple[int, ...], visible: tuple[int, ...]):
        return nearest(self.corpus, hidden, visible, self.neighbours, self.k)


def inputs(corpus: Corpus, hidden: tuple[int, ...], n_genes: int) -> np.ndarray:
    """The genes that vary most of those that are not hidden, `[n_genes]`."""
    ordered = top_variance(corpus, len(corpus.genes))
    return ordered[~np.isin(ordered, hidden)][:n_genes]


def features(corpus: Corpus, slide: ad.AnnData, genes: np.ndarray, neighbours: int) -> np.ndarray:
    """Log-normalised values scaled to variance 1 over `corpus` and averaged over neighbours, `[n_spots, n_genes]`."""
    mean, variance = (values[genes].astype(np.float32) for values in moments(corpus))
    values = lognorm(slide.X, size=stated_size(slide))[:, genes].toarray()
    values = (values - mean) / np.sqrt(np.where(variance > 0, variance, 1))
    return neighbour_mean(values, slide.obsm["position"], neighbours)


def learned(corpus: Corpus, hidden: tuple[int, ...], visible: tuple[int, ...], neighbours: int):
    """Features of all training spots and the values of the hidden genes there."""
    values = np.concatenate([features(corpus, slide, np.array(visible), neighbours) for slide in corpus])
    return values, np.concatenate([lognorm(slide.X)[:, list(hidden)].toarray() for slide in corpus])


@lru_cache(maxsize=8)  # a fold of genes each: all seeds and all slides share them
def ridge(corpus: Corpus, hidden: tuple[int, ...], visible: tuple[int, ...], neighbours: int):
    from sklearn.linear_model import RidgeCV

    return RidgeCV(ALPHAS).fit(*learned(corpus, hidden, visible, neighbours))


@lru_cache(maxsize=8)
def nearest(corpus: Corpus, hidden: tuple[int, ...], visible: tuple[int, ...], neighbours: int, k: int):
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(min(k, corpus.n_spots)).fit(*learned(corpus, hidden, visible, neighbours))
