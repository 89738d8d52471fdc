"""Samples of the method `context` of made-up parts, and what a step hides of them."""

import numpy as np
import torch

from benchmark.model.trunk import Preset
from methods.context import tokens
from methods.context.model import ContextModel
from methods.context.unit import ContextUnit

SIDES = (1, 2, 4, 8, "slide")
P, GROUPS = 5, tokens.GROUPS
MICRO = Preset(d=16, layers=1, heads=4, learning_rate=1e-3)


def drawn(tissue, side, n=6, seed=0):
    """The unit, and some of its samples of made-up parts."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(slide.n_obs, GROUPS, P)).astype(np.float32) for slide in tissue]
    unit = ContextUnit.of(tissue, side, 16, parts)
    return unit, unit.draw(tissue, n, np.random.default_rng(seed))


def hidden_of(batch, seed=0, hidden=0.5):
    model = ContextModel(P, MICRO, hidden=hidden)
    return model.draw_hidden(batch, torch.Generator().manual_seed(seed))
