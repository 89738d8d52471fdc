"""A network of timm's that reads image tiles: opened with its weights, and run on tiles as it expects them."""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.errors import UnitBenchError, nearest

AT_ONCE = 64  # tiles that the network sees at a time
PRETRAINED, RANDOM = "pretrained", "random"  # weights that timm downloads; that a seed draws
IN_FOLDER = ("model.safetensors", "pytorch_model.bin")


class Network:
    """A frozen network without its classification head.

    Attributes:
        name: of timm's.
        net: the torch module, in evaluation.
    """

    def __init__(self, name: str, net: Any):
        from timm.data import resolve_model_data_config

        self.name, self.net, self._config = name, net.eval().requires_grad_(False), resolve_model_data_config(net)

    @property
    def pixels(self) -> int:
        """Side of the tiles that it reads."""
        return int(self._config["input_size"][1])

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.net.parameters())

    @cached_property
    def digest(self) -> str:
        """A checksum of the weights, 12 hex digits."""
        found = hashlib.sha256()
        for name, value in sorted(self.net.state_dict().items()):
            found.update(name.encode() + np.ascontiguousarray(value.cpu().numpy()).tobytes())
        return found.hexdigest()[:12]

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """Pooled features, float32 `[n, d]`, of tiles uint8 `[n, h, w, 3]`, at the network's own size, interpolation
        and normalisation. Nothing is cropped: a tile keeps its field of view."""
        import torch
        from torch.nn.functional import interpolate

        device = "cuda" if torch.cuda.is_available() else "cpu"
        net, size = self.net.to(device), self._config["input_size"][1:]
        mode = "bicubic" if self._config["interpolation"] == "bicubic" else "bilinear"
        mean, std = (torch.tensor(self._config[key], device=device)[:, None, None] for key in ("mean", "std"))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(tiles), AT_ONCE):
                x = torch.from_numpy(np.array(tiles[start : start + AT_ONCE])).to(device).permute(0, 3, 1, 2) / 255
                if x.shape[2:] != size:
                    x = interpolate(x, size, mode=mode, antialias=True).clamp(0, 1)
                parts.append(net((x - mean) / std).float().cpu().numpy())
        return np.concatenate(parts)

    def pretend(self, n: int) -> None:
        """Go through the same operations for `n` tiles on the meta device, where they cost nothing. So a counter of
        FLOPs around it sees all of them, and no kernel hides attention."""
        import torch
        from torch.func import functional_call

        here = [*self.net.named_parameters(), *self.net.named_buffers()]
        tiles = torch.empty(n, *self._config["input_size"], device="meta")
        with torch.no_grad():
            functional_call(self.net, {name: value.to("meta") for name, value in here}, (tiles,))


@lru_cache(maxsize=1)  # arms that follow one another share it
def open_network(network: str, weights: str, seed: int = 0) -> Network:
    """A network with its weights.

    Args:
        network: a name of timm's; that of a repository, as "hf-hub:owner/name", is for "pretrained" alone.
        weights: the path of a file that holds them under timm's names, safetensors or tensors that torch has saved; or
            of a folder with such a file and config.json, as the Hugging Face hub has it; or "pretrained": timm
            downloads them; or "random": `seed` draws them. The tensors of a classification head are ignored.

    Raises:
        UnitBenchError: no such network, no such file, weights of another network, or they cannot be downloaded.
    """
    import timm
    import torch

    if not timm.is_model(network) and not (network.startswith("hf-hub:") and weights == PRETRAINED):
        raise UnitBenchError(f"network {network!r}", "timm has none of that name", nearest(network, timm.list_models()))
    if weights not in (PRETRAINED, RANDOM):
        return _from_file(network, weights)
    torch.manual_seed(seed)
    try:
        return Network(network, timm.create_model(network, pretrained=weights == PRETRAINED, num_classes=0))
    except Exception as error:
        remedy = "give the path of a file of its weights, or check the connection"
        raise UnitBenchError(f"weights of {network}", f"no download ({_line(error)})", remedy) from error


def _from_file(network: str, weights: str) -> Network:
    """Raises UnitBenchError: no such file, or it lacks tensors of the network, or has others."""
    import timm

    where, path, name = f"weights of {network} ({weights})", Path(weights), network
    if path.is_dir():
        name, path = f"local-dir:{path}", next((path / file for file in IN_FOLDER if (path / file).exists()), path)
    if not path.is_file():
        raise UnitBenchError(where, "file not found", f"give a safetensors file, {PRETRAINED!r} or {RANDOM!r}")
    try:
        net = timm.create_model(name, num_classes=0)
        state = timm.models.load_state_dict(str(path), weights_only=True)
        net.load_state_dict({name: value for name, value in state.items() if not _of_head(name, net)})
    except Exception as error:
        raise UnitBenchError(where, _line(error), "give the weights of that network") from error
    if (kind := net.pretrained_cfg["architecture"]) != network.partition(".")[0]:
        raise UnitBenchError(where, f"they are of {kind}", "give the weights of that network")
    return Network(network, net)


def network_features(tiles: np.ndarray, network: str, weights: str) -> np.ndarray:
    """Pooled features, float64 `[n, d]`, of tiles uint8 `[n, h, w, 3]`. Arguments and errors are of `open_network`."""
    return open_network(network, weights)(tiles).astype(np.float64)


def _of_head(name: str, net: Any) -> bool:
    """Whether a tensor is of the classification head, of which a network has one, several or none."""
    heads = net.pretrained_cfg.get("classifier") or ()
    return name.rpartition(".")[0] in ((heads,) if isinstance(heads, str) else heads)


def _line(error: Exception) -> str:
    """What an error says, in a line."""
    return " ".join(str(error).split())[:200]
