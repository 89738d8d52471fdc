"""Controls for images: the colour of each spot's tile, its texture, and the principal components of the tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from benchmark.data.tiles import View, cut, has_image, tiles
from benchmark.metrics.morphology import haematoxylin

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget

MOST_STAIN = 0.3  # optical density of haematoxylin; 99 of 100 pixels of her2st are below it


@dataclass
class MeanColour:
    """Mean and standard deviation of red, green and blue: what colour alone tells.

    Attributes:
        microns, pixels: side of a tile, in µm and in pixels.
    """

    microns: PositiveFloat = 112.0
    pixels: PositiveInt = 32
    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Nothing is learned and nothing is spent."""

    def embed_image(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 6]` float32, from 0 to 255."""
        values = cut(slide, self._view).reshape(slide.n_obs, -1, 3).astype(np.float32)
        return np.concatenate([values.mean(axis=1), values.std(axis=1)], axis=1)

    @property
    def _view(self) -> View:
        """Field of view of a tile."""
        return View(self.microns, self.pixels)


class ImageTexture(MeanColour):
    """Histograms of uniform local binary patterns of the haematoxylin at two radii: what texture alone tells.

    The patterns are from Ojala et al. 2002 (IEEE TPAMI 24), the stain's share from Ruifrok and Johnston 2001.
    """

    def embed_image(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 28]` float32: the share of a tile's pixels that have each pattern."""
        from skimage.feature import local_binary_pattern

        histograms = []
        for stain in haematoxylin(cut(slide, self._view)):
            grey = np.round(255 * np.clip(stain / MOST_STAIN, 0, 1)).astype(np.uint8)
            patterns = ((local_binary_pattern(grey, n, radius, "uniform"), n + 2) for n, radius in ((8, 1), (16, 2)))
            histograms.append(np.concatenate([np.bincount(p.astype(int).ravel(), minlength=n) for p, n in patterns]))
        return (np.stack(histograms) / self.pixels**2).astype(np.float32)


@dataclass
class ImagePCA(MeanColour):
    """Principal components of the tiles' pixels, fitted on the training slides that have an image."""

    pixels: PositiveInt = 16
    n_components: PositiveInt = 50

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Fit the components. Nothing is spent."""
        names = tuple(name for name in corpus.names if has_image(corpus[name]))
        self.components = components(corpus.subset(names), self._view, self.n_components) if names else None

    def embed_image(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, n_components]` float32."""
        return self.components.transform(flat(cut(slide, self._view))).astype(np.float32)


@lru_cache(maxsize=1)  # all seeds share it
def components(corpus: Corpus, view: View, n_components: int) -> Any:
    """PCA of scikit-learn, fitted on all tiles of `corpus`."""
    from sklearn.decomposition import PCA

    pixels = np.concatenate([flat(tiles(corpus, name, view)) for name in corpus.names])
    return PCA(min(n_components, *pixels.shape), svd_solver="covariance_eigh").fit(pixels)


def flat(images: np.ndarray) -> np.ndarray:
    """Each tile as one row, `[n, pixels² × 3]`, from 0 to 1."""
    return images.reshape(len(images), -1) / 255
