"""The step in bf16: products are rounded, and inputs are not."""

from __future__ import annotations

import pytest
import torch

from benchmark.model.trunk import PRESETS
from benchmark.training.step import Step
from methods.context.model import ContextModel


def loss(wanted: str, shift: float) -> float:
    """Of a step on samples whose positions are moved by `shift` pitches."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)).expand(2, 36, 2)
    batch = {
        "parts": torch.randn(2, 36, 8, 5, generator=generator),
        "position": cells + shift,
        "valid": torch.ones(2, 36, dtype=torch.bool),
    }
    torch.manual_seed(0)
    model = ContextModel(5, PRESETS["nano"])
    hidden = model.draw_hidden(batch, torch.Generator().manual_seed(0))
    return Step(model, 1e-3, wanted).update(batch, hidden, 1e-3).item()


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_a_step_in_bf16_has_the_loss_of_one_in_float32_wherever_the_spots_lie(shift):
    assert loss("bf16", shift) == pytest.approx(loss("fp32", 0.0), rel=0.01)
