"""Features in which image sets are compared: PCA of colour, texture and morphology, or of a network's output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.metrics.morphology import morphology, threshold

FARTHEST = 5.0  # standard deviations of a raw feature
AT_ONCE = 64  # tiles that a network sees at a time


@dataclass(frozen=True)
class Extractor:
    """What was fitted to the real tiles of the training slides, and so is the same for every method.

    Attributes:
        cut: the stain above which a pixel is nuclear.
        mean, scale: of the raw features, `[d_raw]`.
        components: of their PCA, scaled together so that the mean variance over the training tiles is 1, `[d_raw, d]`.
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
        dimensions: of the features, at most.
        network: a name of timm's; "": no network, but colour, texture and morphology, for which nothing is fetched.
        weights: the network's, as safetensors.

    Raises:
        UnitBenchError: the weights are absent or no such network's.
    """
    cut = threshold(tiles)
    shape = morphology(tiles, cut)
    raw = _raw(tiles, shape, network, weights)
    mean, scale = raw.mean(axis=0), raw.std(axis=0)
    scale[scale < 1e-8] = 1.0  # what never varies stays 0
    _, singular, axes = np.linalg.svd(_standard(raw, mean, scale), full_matrices=False)
    kept = np.flatnonzero(singular > 1e-6 * singular[0])[:dimensions]
    components = axes[kept].T * (len(raw) / np.mean(singular[kept] ** 2)) ** 0.5
    spread = shape.std(axis=0)
    return Extractor(network, weights, cut, mean, scale, components, np.where(spread > 0, spread, 1.0))


def _standard(raw: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """In standard deviations, at most `FARTHEST`: a cubic kernel would let one odd feature decide."""
    return ((raw - mean) / scale).clip(-FARTHEST, FARTHEST)


def _raw(tiles: np.ndarray, shape: np.ndarray, network: str, weights: str) -> np.ndarray:
    if network:
        return _of_network(tiles, network, weights)
    return np.hstack([colour_and_texture(tiles), shape]).astype(np.float64)


def colour_and_texture(tiles: np.ndarray) -> np.ndarray:
    """Plain statistics of each tile, uint8 `[n, h, w, 3]` → `[n, 66]`: mean, deviation and deciles of each colour,
    their correlations, how much neighbours at 1, 2 and 4 pixels differ, and a coarse 4 × 4 grid of brightness."""
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


def _of_network(tiles: np.ndarray, network: str, weights: str) -> np.ndarray:
    """Pooled features of a network of timm's, at its own size and normalisation, `[n, d_raw]`."""
    import timm
    import torch
    from safetensors.torch import load_file

    if not Path(weights).is_file():
        raise UnitBenchError(f"weights of {network} ({weights})", "file not found", "give a safetensors file")
    try:
        net = timm.create_model(network, num_classes=0)
        state = load_file(weights)
        head = {name for name in state if name.split(".")[0] in ("head", "fc", "classifier")}
        net.load_state_dict({name: value for name, value in state.items() if name not in head | {""}})
    except Exception as error:
        cause = " ".join(str(error).split())[:200]
        raise UnitBenchError(f"weights of {network} ({weights})", cause, "give that network's own") from error
    config = timm.data.resolve_model_data_config(net)
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.eval().to(device)
    found = []
    with torch.inference_mode():
        for start in range(0, len(tiles), AT_ONCE):
            x = torch.from_numpy(np.array(tiles[start : start + AT_ONCE])).permute(0, 3, 1, 2).float() / 255
            x = torch.nn.functional.interpolate(x, config["input_size"][1:], mode="bilinear", antialias=True)
            found.append(net(((x - mean) / std).to(device)).float().cpu().numpy())
    return np.concatenate(found).astype(np.float64)
