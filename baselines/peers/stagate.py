"""The peer `stagate`: a graph attention auto-encoder that is trained on the scored slide itself, by its package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import PositiveInt

from baselines.peers.package import Package
from benchmark.data.corpus import Corpus
from benchmark.data.gene_selection import top_dispersion
from benchmark.data.normalisation import normalised

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget

PACKAGE = Package("stagate-modern", "MIT")


@dataclass
class Stagate:
    """STAGATE by its package: a graph attention auto-encoder, trained on each slide by itself, the scored ones too.

    Transductive, and not compute-matched: it is scored by clustering alone. What its training costs stands with the
    cost of reading a spot. Dong and Zhang 2022 (Nature Communications 13, 1739).

    Attributes:
        n_genes: the most variable for their mean over the training slides.
        neighbours: of each spot in the graph, at most all others of its slide.
        epochs: of training, on each slide.
    """

    n_genes: PositiveInt = 3000
    neighbours: PositiveInt = 6
    epochs: PositiveInt = 1000
    unit = "none"
    reference = "transductive: trained on the slide that is scored, not compute-matched"
    transductive = True
    software = str(PACKAGE)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Choose the genes, and no more.

        Raises:
            UnitBenchError: the package is not installed.
        """
        PACKAGE.load("STAGATE_pyG")
        self.chosen, self.seed = top_dispersion(corpus, self.n_genes), seed

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 30]` float32, by a network that is trained on this slide now."""
        from anndata import AnnData

        package = PACKAGE.load("STAGATE_pyG")
        spots = AnnData(
            normalised(slide)[:, self.chosen],
            obs=slide.obs[[]].copy(),
            obsm={"spatial": slide.obsm["position"]},
        )
        package.Cal_Spatial_Net(spots, k_cutoff=min(self.neighbours, slide.n_obs - 1), model="KNN", verbose=False)
        package.train_STAGATE(spots, n_epochs=self.epochs, random_seed=self.seed, verbose=False)
        return spots.obsm["STAGATE"]
