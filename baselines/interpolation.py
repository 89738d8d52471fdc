"""Controls of reconstruction: what the visible spots of the slide say without any learning."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmark.corpus import Corpus
from benchmark.normalise import lognorm


class Zero:
    """Nothing is expressed."""

    unit = "none"

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        pass

    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """`[n_spots, n_genes]` log-normalised values; rows of visible spots are as measured."""
        values = lognorm(slide.X).toarray()
        if hidden.any():
            values[hidden] = self._fill(values[~hidden], slide.obsm["position"], hidden)
        return values

    def _fill(self, seen: np.ndarray, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """`[n_hidden, n_genes]`, or what broadcasts to it, from the visible rows `[n_visible, n_genes]`."""
        return np.zeros(seen.shape[1], dtype=np.float32)


class GeneMean(Zero):
    """Each gene's mean over the visible spots of the slide."""

    def _fill(self, seen: np.ndarray, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        return seen.mean(axis=0)


@dataclass
class NeighbourMean(Zero):
    """Mean of the `k` nearest visible spots."""

    k: int = 8

    def _fill(self, seen: np.ndarray, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        n_hidden, k = int(hidden.sum()), min(self.k, len(seen))
        distance, nearest = cKDTree(position[~hidden]).query(position[hidden], k=k)
        weights = self._weigh(distance.reshape(n_hidden, k))
        weights /= weights.sum(axis=1, keepdims=True)
        rows = np.arange(0, n_hidden * k + 1, k)
        mixing = sp.csr_array((weights.ravel(), nearest.ravel(), rows), shape=(n_hidden, len(seen)))
        return mixing @ seen

    def _weigh(self, distance: np.ndarray) -> np.ndarray:
        return np.ones_like(distance)


class InverseDistance(NeighbourMean):
    """Mean of the `k` nearest visible spots, each weighing one by its squared distance."""

    def _weigh(self, distance: np.ndarray) -> np.ndarray:
        # A visible spot at the very same place takes all the weight.
        return np.maximum(distance, 1e-6) ** -2
