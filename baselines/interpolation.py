"""Controls of reconstruction: what the visible spots of a slide tell without any learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from pydantic import PositiveFloat, PositiveInt
from scipy.spatial import cKDTree

from benchmark.data.corpus import Corpus
from benchmark.data.gene_selection import moments
from benchmark.data.normalisation import normalised

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget


class Zero:
    """Every gene is 0 in every hidden spot."""

    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Nothing is learned and nothing is spent."""

    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000, `[n_spots, n_genes]`. The rows of visible spots are as measured."""
        measured = normalised(slide)
        values = measured.toarray()
        if hidden.any():
            values[hidden] = self._fill(measured[~hidden], slide.obsm["position"], hidden)
        return values

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """`[n_hidden, n_genes]`, or an array that broadcasts to it, from the visible rows `[n_visible, n_genes]`."""
        return np.zeros(seen.shape[1], dtype=np.float32)


class GeneMean(Zero):
    """Each gene's mean over the visible spots of the slide, or over the training slides where all spots hide it."""

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Take the genes' means over the training slides. Nothing is spent."""
        self.mean = moments(corpus)[0]

    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000 of the genes `hidden` `[n_hidden]`, `[n_spots, n_hidden]`."""
        return np.tile(self.mean[hidden], (slide.n_obs, 1))

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        return np.asarray(seen.mean(axis=0)).ravel()


@dataclass
class NeighbourMean(Zero):
    """Mean of the `k` nearest visible spots."""

    k: PositiveInt = 8

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        n_hidden, k = int(hidden.sum()), min(self.k, seen.shape[0])
        distance, nearest = cKDTree(position[~hidden]).query(position[hidden], k=k)
        weights = self._weigh(distance.reshape(n_hidden, k))
        weights /= weights.sum(axis=1, keepdims=True)
        rows = np.arange(0, n_hidden * k + 1, k)
        mixing = sp.csr_array((weights.ravel(), nearest.ravel(), rows), shape=(n_hidden, seen.shape[0]))
        return (mixing @ seen).toarray()

    def _weigh(self, distance: np.ndarray) -> np.ndarray:
        """Weights of spots at these distances in pitches, of the same shape `[n_hidden, k]`."""
        return np.ones_like(distance)


class InverseDistance(NeighbourMean):
    """Mean of the `k` nearest visible spots, weighted by one over the squared distance."""

    def _weigh(self, distance: np.ndarray) -> np.ndarray:
        # A visible spot at the same position takes all the weight.
        return np.maximum(distance, 1e-6) ** -2


class Nearest(NeighbourMean):
    """The nearest visible spot."""

    def __init__(self) -> None:
        super().__init__(k=1)


@dataclass
class VisiblePatchMean(Zero):
    """Mean of the visible spots in a square around each hidden spot: as many as a patch shows.

    Where the square has no visible spot, the mean of all visible spots.

    Attributes:
        width: side of the square, in pitches.
    """

    width: PositiveFloat = 8

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        inside = cKDTree(position[~hidden]).query_ball_point(position[hidden], self.width / 2, p=np.inf)
        count = np.array([len(spots) for spots in inside])
        weights = np.repeat(1 / np.maximum(count, 1), count)
        rows = np.concatenate([[0], np.cumsum(count)])
        mixing = sp.csr_array((weights, np.concatenate(inside).astype(int), rows), shape=(len(count), seen.shape[0]))
        values = (mixing @ seen).toarray()
        values[count == 0] = seen.mean(axis=0)
        return values
