"""Features of image tiles from a pretrained network of timm's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.core.errors import UnitBenchError

AT_ONCE = 64  # tiles that the network sees at a time


def network_features(tiles: np.ndarray, network: str, weights: str) -> np.ndarray:
    """Pooled features, float64 `[n, d]`, of tiles uint8 `[n, h, w, 3]`, at the network's own size and normalisation.

    Args:
        network: a name of timm's.
        weights: path of its weights, as safetensors; a classification head is ignored.

    Raises:
        UnitBenchError: the file is missing, or is not of that network.
    """
    import timm
    import torch
    from safetensors.torch import load_file

    if not Path(weights).is_file():
        raise UnitBenchError(f"weights of {network} ({weights})", "file not found", "give a safetensors file")
    try:
        net = timm.create_model(network, num_classes=0)
        state = load_file(weights)
        head = {name for name in state if name.split(".")[0] in ("head", "fc", "classifier")}
        net.load_state_dict({name: value for name, value in state.items() if name not in head})
    except Exception as error:
        cause = " ".join(str(error).split())[:200]
        raise UnitBenchError(f"weights of {network} ({weights})", cause, "give the weights of that network") from error
    config = timm.data.resolve_model_data_config(net)
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.eval().to(device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(tiles), AT_ONCE):
            x = torch.from_numpy(np.array(tiles[start : start + AT_ONCE])).permute(0, 3, 1, 2).float() / 255
            x = torch.nn.functional.interpolate(x, config["input_size"][1:], mode="bilinear", antialias=True)
            parts.append(net(((x - mean) / std).to(device)).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64)
