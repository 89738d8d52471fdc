"""A ceiling: a network that is told the labels of the training slides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from benchmark.core.errors import UnitBenchError
from benchmark.data.components import components
from benchmark.data.corpus import Corpus
from benchmark.data.neighbours import neighbour_mean

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget


@dataclass
class Supervised:
    """An MLP that predicts the label of a spot from its neighbourhood. Its embedding is the log odds of each label.

    It reads strong principal components (each gene scaled within its slide, genes of the greatest Moran's I) of the
    spot, and their means over `rings` of its nearest neighbours.

    Attributes:
        rings: numbers of neighbours; 0 is the spot alone.
        width: of the one hidden layer.
    """

    n_components: PositiveInt = 50
    n_genes: PositiveInt = 2000
    rings: tuple[NonNegativeInt, ...] = (0, 6, 18, 60)
    width: PositiveInt = 64
    unit = "none"
    reference = "supervised: it is told the labels of the training slides"
    labels = True

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Fit on the spots of the training slides that have a label. A tenth of them tells when to stop.

        Raises:
            UnitBenchError: under two labels.
        """
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._components = components(corpus, self.n_components, self.n_genes, "slide_z", "moran")
        features, labels = [], []
        for slide in corpus:
            if "label" in slide.obs:
                has = slide.obs["label"].notna().to_numpy()
                features.append(self._features(slide)[has])
                labels.append(slide.obs["label"].to_numpy()[has].astype(str))
        if len(set().union(*labels)) < 2:
            raise UnitBenchError("supervised", "the training slides have under two labels", "leave the method out")
        network = MLPClassifier((self.width,), alpha=1e-2, early_stopping=True, max_iter=100, random_state=seed)
        self._model: Any = make_pipeline(StandardScaler(), network).fit(
            np.concatenate(features), np.concatenate(labels)
        )

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_labels]` float32."""
        return np.log(self._model.predict_proba(self._features(slide)) + 1e-6).astype(np.float32)

    def _features(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components * len(rings)]`."""
        scores = self._components.scores(slide)
        return np.concatenate([neighbour_mean(scores, slide.obsm["position"], k) for k in self.rings], axis=1)
