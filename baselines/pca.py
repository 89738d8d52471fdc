"""Baseline: principal components of log-normalised counts, all fitted on the training slides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from benchmark.data.components import Genes, Normalisation, components
from benchmark.data.corpus import Corpus
from benchmark.data.neighbours import neighbour_mean

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget


@dataclass
class PCA:
    """Scanpy's usual recipe: log1p of counts per 10,000, chosen genes, each scaled to variance 1, PCA.

    Where slides have measured different genes, it takes those that all training slides have.

    Attributes:
        n_components: at most.
        n_genes: genes that are used.
        neighbours: spatial neighbours that are averaged over; 0: none.
        averaged: what is: the "components", or the scaled "genes" before the components are found (the order of
            NichePCA).
        normalisation: each gene is scaled over all training spots ("log"), or within each slide ("slide_z").
        genes: which are used: the most variable for their mean ("hvg"), or others of `Genes`.
    """

    n_components: PositiveInt = 50
    n_genes: PositiveInt = 2000
    neighbours: NonNegativeInt = 0
    normalisation: Normalisation = "log"
    genes: Genes = "hvg"
    averaged: Literal["components", "genes"] = "components"
    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Fit scaling and components. Nothing is spent."""
        before = self.neighbours if self.averaged == "genes" else 0
        self.components = components(corpus, self.n_components, self.n_genes, self.normalisation, self.genes, before)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components]` float32."""
        after = self.neighbours if self.averaged == "components" else 0
        return neighbour_mean(self.components.scores(slide), slide.obsm["position"], after)
