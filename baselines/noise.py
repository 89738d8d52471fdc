"""Control: noise in place of expression, averaged over neighbours, so that near spots look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import PositiveInt

from baselines.random_features import RandomFeatures
from benchmark.data.neighbours import neighbour_mean

if TYPE_CHECKING:
    import anndata as ad


@dataclass
class Noise(RandomFeatures):
    """`d` standard normal numbers for each spot, then their mean over the spot and its `k` nearest neighbours."""

    k: PositiveInt = 16

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]` float32."""
        return neighbour_mean(super().embed(slide), slide.obsm["position"], self.k)
