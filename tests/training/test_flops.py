"""FLOPs: they equal a count by hand, attention is not missed, and an operation that cannot be counted is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from benchmark.core.errors import UnitBenchError
from benchmark.model.masked import MaskedSpots
from benchmark.model.trunk import Preset, Trunk
from benchmark.training.flops import count_flops
from benchmark.training.learner import module_for
from benchmark.training.loop import tensors
from benchmark.training.watch import Watch
from benchmark.units.patch import PatchUnit
from benchmark.units.spot import SpotUnit

MICRO = Preset(d=16, layers=2, heads=2, learning_rate=1e-3)
UNITS = [SpotUnit(n_tokens=16), PatchUnit(size=4, n_channels=16)]


class Step(nn.Module):
    """A module under test whose loss is the sum of what it gives for `values`."""

    def __init__(self, of: nn.Module):
        super().__init__()
        self.of = of

    def forward(self, batch, *inputs):
        return self.of(batch["values"]).sum()


class AllValid(Trunk):
    """A trunk without padded tokens."""

    def forward(self, x):
        return super().forward(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))


class Scattered(nn.Module):
    """Work that no formula covers: a scatter by index."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return torch.zeros(4, 8).to(x.device).scatter_add(0, torch.zeros_like(x, dtype=torch.long), x * self.weight)


@torch.library.custom_op("unitbench_tests::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


double.register_fake(torch.empty_like)
double.register_autograd(lambda context, gradient: gradient * 2)


class Foreign(nn.Module):
    """Work in an operation that is not PyTorch's."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return double(x * self.weight)


def counted_here(module: nn.Module, batch: dict, *inputs: torch.Tensor) -> int:
    """FLOPs of a step as PyTorch's counter sees them on this device."""
    with FlopCounterMode(display=False) as counter:
        module(batch, *inputs).backward()
    return counter.get_total_flops()


def spots_at(t: int, c: int = 4) -> tuple[dict, torch.Tensor]:
    """One sample of `t` spots with `c` channels, and what is hidden of it."""
    batch = {
        "values": torch.rand(1, t, c),
        "genes": torch.arange(c)[None, None],
        "measured": torch.ones(1, 1, c, dtype=torch.bool),
        "position": torch.rand(1, t, 2),
        "valid": torch.ones(1, t, dtype=torch.bool),
    }
    return batch, torch.rand(1, t, c) < 0.5


def test_two_linear_layers_are_counted_as_by_hand():
    m, k, n, p = 10, 3, 5, 7
    module = Step(nn.Sequential(nn.Linear(k, n), nn.ReLU(), nn.Linear(n, p)))
    # A product is 2 x rows x in x out. Forward both; backward the weights of both, but only the second's input.
    assert count_flops(module, {"values": torch.rand(m, k)}) == 2 * (2 * m * k * n) + 3 * (2 * m * n * p)


def test_a_trunk_is_counted_as_by_hand():
    t, d, layers = 48, MICRO.d, MICRO.layers
    counted = count_flops(Step(AllValid(MICRO.d, MICRO.heads, MICRO.layers)), {"values": torch.rand(1, t, d)})
    linear = 2 * t * d * (3 * d + d + 4 * d + 4 * d)
    attention = 2 * (2 * t * t * d)
    assert counted == 3 * layers * (linear + attention)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_convolutions_are_counted_as_by_hand(layer, groups):
    channels, side, kernel = 8, 6, 3
    module = Step(layer(channels, channels, kernel, padding=1, groups=groups))
    # Each output pixel and channel reads kernel x kernel pixels of its group's channels. The gradient of the weights
    # costs the same again. The input is data and needs no gradient.
    forward = 2 * side**2 * channels * kernel**2 * channels // groups
    assert count_flops(module, {"values": torch.rand(1, channels, side, side)}) == 2 * forward
    module.of = nn.Sequential(nn.Conv2d(channels, channels, 1), module.of)
    first = 2 * side**2 * channels**2
    assert count_flops(module, {"values": torch.rand(1, channels, side, side)}) == 2 * first + 3 * forward


def test_a_slide_of_4096_tokens_is_counted_with_its_attention(monkeypatch):
    t, module = 4096, MaskedSpots(torch.zeros(4), MICRO)
    batch, hidden = spots_at(t)
    # Queries by keys and weights by values, each 2 x t x t x d forward and twice that backward.
    attention = MICRO.layers * 3 * 2 * (2 * t * t * MICRO.d)
    counted = count_flops(module, batch, hidden)
    # PyTorch's versions count the CPU's fused attention differently. Some count nothing. Others count more than the
    # mathematics needs, since the backward pass computes some products again. A counter without a formula sees nothing.
    for operation in ("flash_attention_for_cpu", "flash_attention_for_cpu_backward"):
        monkeypatch.delitem(flop_registry, getattr(torch.ops.aten, f"_scaled_dot_product_{operation}"), raising=False)
    blind = counted_here(module, batch, hidden)
    assert counted - blind == attention
    assert attention / counted > 0.9
    assert count_flops(module, batch, hidden) == counted


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_count_is_that_of_attention_written_out(tissue, unit):
    module = module_for(unit.name)(torch.zeros(len(tissue.genes)), MICRO)
    batch = tensors(unit.draw(tissue, 4, np.random.default_rng(0)))
    hidden = module.draw_hidden(batch, torch.Generator().manual_seed(0))
    with sdpa_kernel(SDPBackend.MATH):
        expected = counted_here(module, batch, hidden)
    module.zero_grad()
    assert count_flops(module, batch, hidden) == expected
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("of", [Scattered(), Foreign()], ids=["scatter", "custom"])
def test_work_that_cannot_be_counted_is_refused(of):
    module, batch = Step(of), {"values": torch.rand(4, 8)}
    with pytest.raises(UnitBenchError, match="cannot be counted; define extra_flops") as error:
        count_flops(module, batch)
    assert "\n" not in str(error.value)
    module.extra_flops = lambda batch: 10 * batch["values"].numel()
    assert count_flops(module, batch) == 320


@pytest.mark.parametrize("mode", (torch.no_grad, torch.inference_mode, torch.enable_grad))
def test_the_watch_sees_the_products_of_every_mode(mode):
    """A linear layer takes 2 n p q FLOPs; attention 2 t² d for the logits and as much for the sum, in each head."""
    x, layer = torch.ones(5, 3), torch.nn.Linear(3, 4)
    q = torch.ones(1, 2, 6, 8)
    watch = Watch()
    with watch, mode():
        layer(x)
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert watch.flops == 2 * 5 * 3 * 4 + 2 * (2 * 2 * 6 * 6 * 8)
