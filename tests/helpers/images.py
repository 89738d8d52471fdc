"""Patches as images: a small module of each backbone, and crops as its input."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from benchmark.model.trunk import Preset
from methods.patch.backbones import BACKBONES, MaskedImage

MICRO = Preset(d=16, layers=2, heads=2, learning_rate=1e-3)
SIZE, N_GENES, M = 5, 12, 6
PANEL = torch.tensor([3, 0, 11, 7, 2, 9])
by_backbone = pytest.mark.parametrize("backbone", BACKBONES)
seeds = st.integers(0, 2**31)


def make(backbone: str, size: int = SIZE, preset: Preset = MICRO) -> MaskedImage:
    torch.manual_seed(0)
    return MaskedImage(torch.rand(N_GENES), preset, size, M, backbone).eval()


def crops(seed: int, b: int = 3, size: int = SIZE, padding: int = 2) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Crops with at most one spot in a cell, and which of their values are hidden, whole spots included."""
    rng = np.random.default_rng(seed)
    t = size**2 - 6
    pixel = np.stack([rng.permutation(size**2)[:t] for _ in range(b)])
    valid = np.arange(t) < rng.integers(t // 2, t - padding + 1, size=(b, 1))
    cell = np.stack([pixel // size, pixel % size], axis=-1) * valid[..., None]
    hidden = (rng.random((b, t, M)) < rng.choice([0.25, 0.5, 1.0], size=(b, t, 1))) & valid[..., None]
    batch = {
        "values": rng.exponential(size=(b, t, M)).astype(np.float32) * valid[..., None],
        "genes": np.broadcast_to(PANEL, (b, 1, M)),
        "measured": np.ones((b, 1, M), bool),
        "position": (cell - size / 2).astype(np.float32),
        "cell": cell,
        "valid": valid,
    }
    return {name: torch.tensor(value) for name, value in batch.items()}, torch.tensor(hidden)


def encoded(module: MaskedImage, batch: dict, hidden: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return module.encode(batch, hidden)


def predicted(module: MaskedImage, batch: dict, hidden: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return module.read_out(module.encode(batch, hidden), batch["genes"])


def differ(a: torch.Tensor, b: torch.Tensor) -> bool:
    return float((a - b).abs().max()) > 1e-4
