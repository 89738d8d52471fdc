"""The peer `graphpca`: principal components that a graph of neighbours in space smooths, by the package GraphPCA."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from baselines.peers.package import Package
from benchmark.data.components import Genes, Normalisation, Scaling, components
from benchmark.data.corpus import Corpus

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget

PACKAGE = Package("st-graphpca", "MIT")
MODULE = "GraphPCA.multigpca"


@dataclass
class GraphPCA:
    """GraphPCA by its package: components shared by all slides, smooth over a graph of neighbours in space.

    Inductive: the loadings are found on the training slides, and an unseen slide is projected on them. Yang et al.
    2024 (Genome Biology 25, 287).

    Attributes:
        n_components: at most.
        neighbours: of each spot in the graph, at most all others of its slide.
        smoothing: weight λ of the graph; 0: plain principal components.
        n_genes, normalisation, genes: what it reads, as for `pca`. The defaults are those of `pca_strong`.
    """

    n_components: PositiveInt = 30
    neighbours: PositiveInt = 6
    smoothing: NonNegativeFloat = 2.0
    n_genes: PositiveInt = 2000
    normalisation: Normalisation = "slide_z"
    genes: Genes = "moran"
    unit = "none"
    software = str(PACKAGE)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Find the loadings. No gradients are taken and nothing is spent; all seeds give the same.

        Raises:
            UnitBenchError: the package is not installed.
        """
        genes = self.n_genes, self.normalisation, self.genes
        self.scaling, self.loadings = _loadings(corpus, self.n_components, *genes, self.neighbours, self.smoothing)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components]` float32."""
        projected = PACKAGE.load(MODULE).Project_Multi_GPCA(
            _read(self.scaling, slide),
            self.loadings,
            location=slide.obsm["position"],
            n_neighbors=_at_most(self.neighbours, slide),
            graph_lambda=self.smoothing,
            save_embedding=False,
        )
        return projected.astype(np.float32)


@lru_cache(maxsize=2)  # all seeds share them
def _loadings(
    corpus: Corpus,
    n_components: int,
    n_genes: int,
    normalisation: Normalisation,
    genes: Genes,
    neighbours: int,
    smoothing: float,
) -> tuple[Scaling, np.ndarray]:
    """The scaling of the genes, and the loadings `[n_genes, n_components]` that all slides of the corpus share."""
    package = PACKAGE.load(MODULE)
    scaling = components(corpus, n_components, n_genes, normalisation, genes).scaling
    slides = list(corpus) * (2 if len(corpus) == 1 else 1)  # it takes two or more; the same one twice weighs as one
    _, found = package.Run_Multi_GPCA(
        [_read(scaling, slide) for slide in slides],
        locations=[slide.obsm["position"] for slide in slides],
        n_components=min(n_components, len(scaling.genes)),
        n_neighbors=[_at_most(neighbours, slide) for slide in slides],
        lambdas=smoothing,
        save_embedding=False,
    )
    return scaling, found


def _read(scaling: Scaling, slide: ad.AnnData) -> ad.AnnData:
    """The scaled genes of a slide, as the package takes them."""
    from anndata import AnnData

    return AnnData(scaling.values(slide))


def _at_most(neighbours: int, slide: ad.AnnData) -> int:
    return min(neighbours, slide.n_obs - 1)
