"""The peer `cellcharter`: each spot beside the means of the rings of spots around it, by the package CellCharter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from baselines.peers.package import Package
from benchmark.data.components import Genes, Normalisation, components
from benchmark.data.corpus import Corpus

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget

PACKAGE = Package("cellcharter", "BSD-3-Clause")


@dataclass
class CellCharter:
    """CellCharter by its package: components of a spot, and their means over each ring of spots around it.

    Inductive: the components are those of the training slides. The rings are paths in the Delaunay graph of the slide,
    without its longest links. Varrone et al. 2024 (Nature Genetics, 10.1038/s41588-023-01588-4).

    Attributes:
        layers: how many rings; 0: the spot alone.
        n_components, n_genes, normalisation, genes: as for `pca`. The defaults are those of `pca_strong`.
    """

    layers: NonNegativeInt = 3
    n_components: PositiveInt = 50
    n_genes: PositiveInt = 2000
    normalisation: Normalisation = "slide_z"
    genes: Genes = "moran"
    unit = "none"
    software = str(PACKAGE)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Fit the components. No gradients are taken and nothing is spent; all seeds give the same.

        Raises:
            UnitBenchError: the package is not installed.
        """
        PACKAGE.load("cellcharter")
        self.components = components(corpus, self.n_components, self.n_genes, self.normalisation, self.genes)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components * (layers + 1)]` float32."""
        from anndata import AnnData

        squidpy, cellcharter = PACKAGE.load("squidpy"), PACKAGE.load("cellcharter")
        spots = AnnData(
            obs=slide.obs[[]].copy(), obsm={"spatial": slide.obsm["position"], "X_pca": self.components.scores(slide)}
        )
        squidpy.gr.spatial_neighbors_delaunay(spots)
        cellcharter.gr.remove_long_links(spots)
        rings = cellcharter.gr.aggregate_neighbors(spots, n_layers=self.layers, use_rep="X_pca", copy=True)
        return np.asarray(rings, dtype=np.float32)
