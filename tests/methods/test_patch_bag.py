"""Tokens as sums: they tell which genes and which values a spot has, not which value belongs to which gene."""

import numpy as np
import pytest
import torch

from benchmark.model.masked import MaskedSpots
from benchmark.model.trunk import Preset
from benchmark.training.loop import tensors
from benchmark.units.patch import PatchUnit
from methods.patch.bag import BagOfGenes

MICRO = Preset(d=16, layers=2, heads=2, learning_rate=1e-3)


def encoded(module, batch, hidden):
    with torch.inference_mode():
        return module.encode(batch, hidden)


def differ(a, b) -> bool:
    return float((a - b).abs().max()) > 1e-3


@pytest.fixture
def batch(tissue):
    return tensors(PatchUnit(size=4, n_channels=16).draw(tissue, 2, np.random.default_rng(0)))


def make(module, tissue):
    torch.manual_seed(0)
    return module(torch.rand(len(tissue.genes)), MICRO).eval()


@pytest.mark.parametrize(("module", "sees"), [(MaskedSpots, True), (BagOfGenes, False)])
def test_only_bound_tokens_tell_which_gene_has_which_value(tissue, batch, module, sees):
    module = make(module, tissue)
    nothing = torch.zeros_like(batch["values"], dtype=torch.bool)
    original = encoded(module, batch, nothing)
    flipped = encoded(module, batch | {"values": batch["values"].flip(2)}, nothing)
    assert differ(original, flipped) == sees
    if not sees:
        torch.testing.assert_close(original, flipped, rtol=1e-4, atol=1e-5)
    assert differ(original, encoded(module, batch | {"values": batch["values"] * 2}, nothing))


def test_a_bag_does_not_see_hidden_values(tissue, batch):
    module = make(BagOfGenes, tissue)
    hidden = module.draw_hidden(batch, torch.Generator().manual_seed(0))
    altered = batch | {"values": torch.where(hidden, 7.0, batch["values"])}
    assert torch.equal(encoded(module, batch, hidden), encoded(module, altered, hidden))
