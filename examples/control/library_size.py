"""An example plugin: how much of the tissue does the depth of sequencing alone tell?"""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np

from benchmark.data.corpus import Corpus


@dataclass
class LibrarySize:
    """Control: log total counts and log number of genes seen, scaled by the training slides.

    `power` is an option: a config sets it by `{method: library_size, options: {power: 2}}`.
    """

    power: float = 1.0
    unit = "none"  # it learns nothing in pretraining, so no budget is varied

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        """Sees the training slides only, and learns nothing from them."""
        features = np.concatenate([self._features(slide) for slide in corpus])
        self.mean, self.std = features.mean(axis=0), features.std(axis=0)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 2]`, the same for the same slide."""
        return (self._features(slide) - self.mean) / self.std

    def _features(self, slide: ad.AnnData) -> np.ndarray:
        counts = slide.X
        totals = np.asarray(counts.sum(axis=1)).ravel()
        genes = np.asarray((counts > 0).sum(axis=1)).ravel()
        return np.log1p(np.column_stack([totals, genes])) ** self.power
