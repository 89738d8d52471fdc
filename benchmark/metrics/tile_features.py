"""Features by which sets of images are compared: PCA of colour, texture and morphology, or of a network's output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.metrics.morphology import morphology, threshold
from benchmark.metrics.network_features import network_features

FARTHEST = 5.0  # of a raw feature from its mean, in standard deviations


@dataclass(frozen=True)
class Extractor:
    """Gives the features of tiles. It is fitted to the real tiles of the training slides, so all methods share it.

    Attributes:
        network, weights: as for `fit_extractor`.
        cut: the stain above which a pixel is nuclear.
        mean, scale: of the raw features, `[d_raw]`.
        components: of their PCA, `[d_raw, d]`, scaled by one number that makes the mean variance of the features 1.
        morphology_scale: standard deviation of each morphology feature, `[10]`.
    """

    network: str
    weights: str
    cut: float
    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    morphology_scale: np.ndarray

    def __call__(self, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features `[n, d]` and morphology `[n, 10]` of tiles uint8 `[n, h, w, 3]`, float32."""
        shape = morphology(tiles, self.cut)
        raw = _raw(tiles, shape, self.network, self.weights)
        return (_standard(raw, self.mean, self.scale) @ self.components).astype(np.float32), shape


def fit_extractor(tiles: np.ndarray, dimensions: int, network: str = "", weights: str = "") -> Extractor:
    """Fit to real tiles, uint8 `[n, h, w, 3]`.

    Args:
        dimensions: number of features, at most.
        network: a name of timm's; "": colour, texture and morphology instead, which need no download.
        weights: path of the network's weights, as safetensors.

    Raises:
        UnitBenchError: the weights are missing, or are not of that network.
    """
    cut = threshold(tiles)
    shape = morphology(tiles, cut)
    raw = _raw(tiles, shape, network, weights)
    mean, scale = raw.mean(axis=0), raw.std(axis=0)
    scale[scale < 1e-8] = 1.0  # a constant feature stays 0
    _, singular, axes = np.linalg.svd(_standard(raw, mean, scale), full_matrices=False)
    kept = np.flatnonzero(singular > 1e-6 * singular[0])[:dimensions]
    components = axes[kept].T * (len(raw) / np.mean(singular[kept] ** 2)) ** 0.5
    spread = shape.std(axis=0)
    return Extractor(network, weights, cut, mean, scale, components, np.where(spread > 0, spread, 1.0))


def _standard(raw: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Features in standard deviations, at most `FARTHEST`: with a cubic kernel one extreme value would decide."""
    standard: np.ndarray = ((raw - mean) / scale).clip(-FARTHEST, FARTHEST)
    return standard


def _raw(tiles: np.ndarray, shape: np.ndarray, network: str, weights: str) -> np.ndarray:
    """Features before the PCA, float64 `[n, d_raw]`; `shape`: the morphology of the tiles, `[n, 10]`."""
    if network:
        return network_features(tiles, network, weights)
    return np.hstack([colour_and_texture(tiles), shape]).astype(np.float64)


def colour_and_texture(tiles: np.ndarray) -> np.ndarray:
    """Statistics of each tile, uint8 `[n, h, w, 3]` → `[n, 61]`.

    Mean, standard deviation and deciles of each colour, the correlations of colours, the mean difference between pixels
    at distances 1, 2 and 4, and the brightness in a grid of 4 × 4.
    """
    x = tiles.astype(np.float32) / 255
    flat = x.reshape(len(x), -1, 3)
    parts = [flat.mean(axis=1), flat.std(axis=1)]
    parts += list(np.quantile(flat, np.arange(0.1, 1, 0.1), axis=1))
    z = (flat - flat.mean(axis=1, keepdims=True)) / np.maximum(flat.std(axis=1, keepdims=True), 1e-3)
    parts += [np.stack([(z[..., a] * z[..., b]).mean(axis=1) for a, b in ((0, 1), (0, 2), (1, 2))], axis=1)]
    for step in (1, 2, 4):
        across = np.abs(x[:, :, step:] - x[:, :, :-step]).mean(axis=(1, 2))
        down = np.abs(x[:, step:] - x[:, :-step]).mean(axis=(1, 2))
        parts += [(across + down) / 2]
    n, h, w, _ = x.shape
    bright = x.mean(axis=-1)[:, : h // 4 * 4, : w // 4 * 4]
    parts += [bright.reshape(n, 4, h // 4, 4, w // 4).mean(axis=(2, 4)).reshape(n, 16)]
    return np.hstack(parts)
