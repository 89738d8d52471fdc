"""A step divided among devices and turns: every sample is computed once, and the parts add up to the step."""

from functools import partial
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.scgpt.method import Scgpt
from benchmark.core.errors import UnitBenchError
from benchmark.model.masked import MaskedGenes, MaskedSpots
from benchmark.model.trunk import Preset
from benchmark.training.budget import Budget, Training
from benchmark.training.loop import tensors
from benchmark.training.turns import turns
from benchmark.units.patch import PatchUnit
from benchmark.units.spot import SpotUnit
from methods.context import tokens
from methods.context.expressed import expressed
from methods.context.model import ContextModel
from methods.context.unit import ContextUnit
from methods.patch.backbones import MaskedImage
from methods.patch.bag import BagOfGenes
from methods.patch.released_model import Released

MICRO = Preset(d=16, layers=1, heads=4, learning_rate=1e-3)
OF_CROPS = {"size": 4, "n_channels": 16}
KINDS = {
    "spots": MaskedSpots,
    "blocks": partial(MaskedSpots, masking="blocks"),
    "genes": MaskedGenes,
    "bag": BagOfGenes,
    "vit": partial(MaskedImage, **OF_CROPS, backbone="vit"),
    "released": partial(Released, **OF_CROPS),
}
SCGPT = ("generative", "masked values")
OBJECTIVES = ("neighbourhood", "spot", "masked", "expression", "negative_binomial", "neighbourhood+negative_binomial")


def made(kind, tissue, n=5):
    """A module without dropout, and a batch of `n` samples with its random choices."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    if kind in SCGPT:
        method = Scgpt(n_tokens=16, preset="nano", objective=kind.removesuffix(" values"))
        method.fit(tissue, Budget("flops", 0), 0)
        module, unit = method.model, method.sampler
        if kind == "generative":
            module.advance(1.0)  # with its second pass
    elif kind in KINDS:
        module = KINDS[kind](torch.rand(len(tissue.genes)), MICRO)
        unit = SpotUnit(n_tokens=16) if kind == "genes" else PatchUnit(**OF_CROPS)
    else:
        tokeniser, parts = tokens.fit(tissue, "slide_z", 40)
        asked = expressed(tissue, tokeniser, kind)
        module = ContextModel(tokeniser.n_components, MICRO, kind, asked=asked)
        unit = ContextUnit.of(tissue, 4, MICRO.d, parts, asked)
    batch = tensors(unit.draw(tissue, n, rng))
    hidden = module.draw_hidden(batch, torch.Generator().manual_seed(0))
    return module.eval(), batch, hidden if isinstance(hidden, tuple) else (hidden,)


def of_all_devices(module, batch, hidden, training):
    return [turns(module, batch, hidden, training, rank) for rank in range(training.n_devices)]


def with_gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("divided", [(2, 1), (1, 3), (3, 2), (4, 2)], ids=str)
@pytest.mark.parametrize("kind", [*KINDS, *OBJECTIVES, *SCGPT])
def test_losses_and_gradients_of_all_turns_add_up_to_those_of_the_step(tissue, kind, divided):
    """As the mean over devices, which is what they take of their gradients; some of them have no sample."""
    module, batch, hidden = made(kind, tissue)
    training = Training(devices=divided[0], accumulate=divided[1])
    expected, wanted = with_gradients(module, module(batch, *hidden))
    parts = [turn for own in of_all_devices(module, batch, hidden, training) for turn in own]
    loss = sum(module(turn.batch, *turn.hidden) * turn.weight for turn in parts) / training.n_devices
    found, gradients = with_gradients(module, loss)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        rounding = 1e-5 * gradient.abs().max().item()
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=rounding, msg=name)


class Plain(torch.nn.Module):
    """The mean of the values of a batch."""

    def forward(self, batch):
        return batch["values"].sum() / batch.get("counts", torch.tensor(len(batch["values"])))

    def counts(self, batch):
        return torch.tensor(len(batch["values"]))


@given(n=st.integers(1, 20), devices=st.integers(1, 5), nodes=st.integers(1, 2), accumulate=st.integers(1, 4))
def test_every_sample_counts_once_and_devices_take_equal_shares(n, devices, nodes, accumulate):
    training = Training(devices, nodes, accumulate=accumulate)
    own = of_all_devices(Plain(), {"values": torch.arange(n)}, (), training)
    assert {len(turns_of) for turns_of in own} == {accumulate}  # they take part in every sum of gradients
    taken = [[i for turn in turns_of if turn.weight for i in turn.batch["values"].tolist()] for turns_of in own]
    assert sorted(chain(*taken)) == list(range(n))
    assert max(map(len, taken)) - min(map(len, taken)) <= accumulate
    assert {turn.weight for turns_of in own for turn in turns_of} <= {0, devices * nodes}


def test_alone_a_step_is_one_turn_and_the_very_same_tensors():
    batch, hidden = {"values": torch.arange(3)}, (torch.ones(3),)
    (turn,) = turns(torch.nn.Linear(1, 1), batch, hidden, Training(), 0)
    assert turn.batch is batch and turn.hidden is hidden and turn.weight == 1


@pytest.mark.parametrize("training", [Training(devices=2), Training(nodes=2), Training(accumulate=2)], ids=str)
def test_an_objective_of_the_whole_step_is_refused(tissue, training):
    """VICReg compares all spots of a step."""
    for objective in ("vicreg", "neighbourhood+vicreg"):
        module, batch, hidden = made(objective, tissue)
        with pytest.raises(UnitBenchError, match=r"ContextModel: .*; set devices, nodes and accumulate to 1") as error:
            turns(module, batch, hidden, training, 0)
        assert "\n" not in str(error.value)
