"""Controls of reconstruction: what the visible spots of the slide say without any learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmark.data.corpus import Corpus
from benchmark.data.gene_selection import moments
from benchmark.data.normalisation import lognorm

if TYPE_CHECKING:
    import anndata as ad


class Zero:
    """Nothing is expressed."""

    unit = "none"

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        pass

    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """`[n_spots, n_genes]` log-normalised values; rows of visible spots are as measured."""
        measured = lognorm(slide.X)
        values = measured.toarray()
        if hidden.any():
            values[hidden] = self._fill(measured[~hidden], slide.obsm["position"], hidden)
        return values

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """`[n_hidden, n_genes]`, or what broadcasts to it, from the visible rows `[n_visible, n_genes]`."""
        return np.zeros(seen.shape[1], dtype=np.float32)


class GeneMean(Zero):
    """Each gene's mean over the visible spots of the slide; over the training slides where all of its spots hide it."""

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        self.mean = moments(corpus)[0]

    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """`[n_spots, n_hidden]` log-normalised values."""
        return np.tile(self.mean[hidden], (slide.n_obs, 1))

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        return np.asarray(seen.mean(axis=0)).ravel()


@dataclass
class NeighbourMean(Zero):
    """Mean of the `k` nearest visible spots."""

    k: int = 8

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        n_hidden, k = int(hidden.sum()), min(self.k, seen.shape[0])
        distance, nearest = cKDTree(position[~hidden]).query(position[hidden], k=k)
        weights = self._weigh(distance.reshape(n_hidden, k))
        weights /= weights.sum(axis=1, keepdims=True)
        rows = np.arange(0, n_hidden * k + 1, k)
        mixing = sp.csr_array((weights.ravel(), nearest.ravel(), rows), shape=(n_hidden, seen.shape[0]))
        return (mixing @ seen).toarray()

    def _weigh(self, distance: np.ndarray) -> np.ndarray:
        return np.ones_like(distance)


class InverseDistance(NeighbourMean):
    """Mean of the `k` nearest visible spots, each weighing one by its squared distance."""

    def _weigh(self, distance: np.ndarray) -> np.ndarray:
        # A visible spot at the very same place takes all the weight.
        return np.maximum(distance, 1e-6) ** -2


class Nearest(NeighbourMean):
    """The nearest visible spot."""

    def __init__(self) -> None:
        super().__init__(k=1)


@dataclass
class VisiblePatchMean(Zero):
    """Mean of the visible spots in the square of `width` pitches around each hidden one: as much as a patch shows.

    Where a hole leaves none in it, the mean of all visible spots.
    """

    width: float = 8

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        inside = cKDTree(position[~hidden]).query_ball_point(position[hidden], self.width / 2, p=np.inf)
        count = np.array([len(spots) for spots in inside])
        weights = np.repeat(1 / np.maximum(count, 1), count)
        rows = np.concatenate([[0], np.cumsum(count)])
        mixing = sp.csr_array((weights, np.concatenate(inside).astype(int), rows), shape=(len(count), seen.shape[0]))
        values = (mixing @ seen).toarray()
        values[count == 0] = seen.mean(axis=0)
        return values
