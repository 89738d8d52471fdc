"""Baseline: principal components of log-normalised counts, all fitted on the training slides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from benchmark.data.corpus import Corpus
from benchmark.data.gene_selection import moments, top_dispersion
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.normalisation import normalised
from benchmark.data.panel import measured

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget

# Scaled values are cut off at so many standard deviations, as in scanpy's tutorials.
CLIP = 10


@dataclass
class PCA:
    """Scanpy's usual recipe: log1p of counts per 10,000, variable genes, each scaled to variance 1, PCA.

    Where slides have measured different genes, it takes those that all training slides have.

    Attributes:
        n_components: at most.
        n_genes: variable genes that are used.
        neighbours: spatial neighbours that the components are averaged over; 0: none.
    """

    n_components: PositiveInt = 50
    n_genes: PositiveInt = 2000
    neighbours: NonNegativeInt = 0
    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Fit scaling and components. Nothing is spent."""
        self.scaling, self.components = fit(corpus, self.n_components, self.n_genes)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components]` float32."""
        embedding = self.components.transform(scaled(slide, self.scaling)).astype(np.float32)
        return neighbour_mean(embedding, slide.obsm["position"], self.neighbours)


class Scaling(NamedTuple):
    """Indices of the genes that are used, and the mean and standard deviation of each, `[n_genes]`."""

    genes: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


@lru_cache(maxsize=1)
def fit(corpus: Corpus, n_components: int, n_genes: int) -> tuple[Scaling, Any]:
    """The scaling, and the fitted PCA of scikit-learn. It is exact, so all seeds share it."""
    from sklearn.decomposition import PCA as Components

    mean, variance = moments(corpus)
    deviation = np.sqrt(np.where(variance > 0, variance, 1))
    genes = top_dispersion(corpus, n_genes)
    scaling = Scaling(genes, mean[genes].astype(np.float32), deviation[genes].astype(np.float32))
    values = np.concatenate([scaled(slide, scaling) for slide in corpus])
    n_components = max(1, min(n_components, len(genes) - 1, len(values) - 1))
    return scaling, Components(n_components, svd_solver="covariance_eigh").fit(values)


def scaled(slide: ad.AnnData, scaling: Scaling) -> np.ndarray:
    """Scaled log-normalised values, `[n_spots, n_genes]` float32. A gene that the slide lacks is at its mean, 0."""
    values = normalised(slide)[:, scaling.genes].toarray()
    values = np.clip((values - scaling.mean) / scaling.deviation, -CLIP, CLIP)
    values[:, ~measured(slide)[scaling.genes]] = 0
    return values
