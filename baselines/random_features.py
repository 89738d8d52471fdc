"""Control: features drawn at random, which do not depend on the spot."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import PositiveInt

from benchmark.data.corpus import Corpus

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget


@dataclass
class RandomFeatures:
    """`d` standard normal numbers for each spot, the same for one slide and one seed."""

    d: PositiveInt = 50
    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Keep the seed. Nothing is spent."""
        self.seed = seed

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]` float32."""
        rng = np.random.default_rng([zlib.crc32(slide.uns["slide"].encode()), self.seed])
        return rng.standard_normal((slide.n_obs, self.d), dtype=np.float32)
