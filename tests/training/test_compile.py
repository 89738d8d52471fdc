"""Compiled steps, as on a GPU: one graph, compiled twice for all token counts, with the loss of the plain module."""

import copy
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch._dynamo.utils import counters

from benchmark.model.masked import MaskedGenes, MaskedSpots
from benchmark.model.trunk import Preset
from benchmark.training.flops import count_flops
from benchmark.training.step import set_up
from methods.context.model import ContextModel

MICRO = Preset(d=16, layers=1, heads=2, learning_rate=1e-3, decoder=1)
N_GENES, M = 12, 6


def inputs(kind: type, t: int, b: int = 3) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """A batch of `t` tokens, the last two of them padding, and what is hidden of it."""
    generator = torch.Generator().manual_seed(t)
    spots = kind is MaskedSpots
    c = M if spots else 1
    batch = {
        "values": torch.rand(b, t, c, generator=generator),
        "genes": torch.randint(N_GENES, (b, 1, M) if spots else (b, t, 1), generator=generator),
        "measured": torch.ones((b, 1, M) if spots else (b, t, 1), dtype=torch.bool),
        "position": torch.rand(b, t, 2, generator=generator) * 9,
        "cell": torch.randint(9, (b, t, 2), generator=generator),
        "valid": (torch.arange(t) < t - 2).expand(b, t).contiguous(),
    }
    return batch, (torch.rand(b, t, c, generator=generator) < 0.5) & batch["valid"][..., None]


def make(kind: type) -> torch.nn.Module:
    torch.manual_seed(0)
    return kind(torch.rand(N_GENES), MICRO)


@pytest.mark.parametrize("kind", [MaskedSpots, MaskedGenes])
def test_a_step_is_one_graph(kind):
    torch._dynamo.reset()
    explained = torch._dynamo.explain(make(kind))(*inputs(kind, 8))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


@pytest.mark.parametrize("t", [1, 16])
def test_a_step_of_the_dial_is_one_graph_in_bf16(t):
    torch._dynamo.reset()
    generator = torch.Generator().manual_seed(0)
    batch = {
        "parts": torch.randn(2, t, 8, 5, generator=generator),
        "position": 9 * torch.rand(2, t, 2, generator=generator),
        "valid": torch.ones(2, t, dtype=torch.bool),
    }
    module = ContextModel(5, MICRO)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explained = torch._dynamo.explain(module)(batch, *module.draw_hidden(batch, generator))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


@pytest.mark.slow
def test_compiled_steps_are_those_of_the_plain_module(monkeypatch):
    """The last part of the compiler, which writes the kernels, is left out: on a CPU it takes a minute."""
    torch._dynamo.reset()
    counters.clear()
    plain, module = make(MaskedSpots), make(MaskedSpots)
    monkeypatch.setattr(module, "compile", partial(module.compile, backend="aot_eager"))
    gpu = SimpleNamespace(device=SimpleNamespace(type="cuda"), setup=lambda *both: both)
    model, _ = set_up(gpu, module, None)
    for t in (8, 16, 24, 40):
        batch, hidden = inputs(MaskedSpots, t)
        loss, expected = model(batch, hidden), plain(batch, hidden)
        torch.testing.assert_close(loss, expected)
        loss.backward()
        expected.backward()
    for (name, parameter), wanted in zip(module.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, wanted.grad, rtol=1e-4, atol=1e-6, msg=name)
    assert counters["stats"]["unique_graphs"] == 2
    assert list(module.state_dict()) == list(plain.state_dict())
    assert count_flops(module, batch, hidden) == count_flops(plain, batch, hidden)
    assert counters["stats"]["unique_graphs"] == 2  # neither the count nor a copy is compiled
    torch.testing.assert_close(copy.deepcopy(module)(batch, hidden), expected)
