"""A step that is recorded and replayed: it is the step that Python would have taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.model.trunk import PRESETS
from benchmark.training import recorded
from benchmark.training.loop import draw_hidden, tensors
from benchmark.training.made_up import MadeUp
from benchmark.training.recorded import Recorder
from benchmark.training.step import Step
from methods.context.model import ContextModel
from methods.context.unit import ContextUnit

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Replayed:
    """As `Recorded`, without a GPU: it says which shapes it was made for."""

    def __init__(self, take, batch, hidden):
        take(batch, hidden)
        self.width = batch["x"].shape[1]

    def __call__(self, batch, hidden):
        return torch.tensor(100.0 + self.width)


def given(width):
    return {"x": torch.zeros(2, width)}, (torch.zeros(2),)


@pytest.fixture
def taken(monkeypatch):
    """The widths of the steps that were taken as they are."""
    monkeypatch.setattr(recorded, "Recorded", Replayed)
    return []


def recorder_of(taken, forget=lambda: None):
    def take(batch, hidden):
        taken.append(batch["x"].shape[1])
        return torch.tensor(0.0)

    return Recorder(take, forget)


def test_the_first_step_of_a_shape_is_taken_and_the_second_recorded(taken):
    step = recorder_of(taken)
    losses = [step(*given(width)).item() for width in (3, 4, 3, 3, 4, 3)]
    assert losses == [0, 0, 103, 103, 104, 103]
    assert taken == [3, 4, 3, 4]  # each once as it is, and once to be recorded


def test_a_phase_of_a_module_has_a_recording_of_its_own(taken):
    step = recorder_of(taken)
    assert [step(*given(3), phase).item() for phase in (0, 0, 1, 1, 0)] == [0, 103, 0, 103, 103]


def test_no_more_recordings_are_kept_than_the_most(taken):
    step, widths = recorder_of(taken), range(1, recorded.MOST + 3)
    for width in widths:
        step(*given(width))
    replayed = [step(*given(width)).item() > 0 for width in widths]
    assert replayed == [True] * recorded.MOST + [False, False]


def test_a_step_that_cannot_be_recorded_is_taken_as_it_is(taken, monkeypatch):
    def refuse(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorded, "Recorded", refuse)
    step = recorder_of(taken, forget=lambda: taken.append("forgotten"))
    assert [step(*given(3)).item() for _ in range(4)] == [0, 0, 0, 0]
    assert taken == [3, "forgotten", 3, 3, 3], "what the recording left is gone before the next step"


def losses_on_the_gpu(side, replayed):
    corpus, rng = MadeUp(n_genes=100), np.random.default_rng(0)
    parts = [rng.standard_normal((slide.n_obs, 8, 50)).astype(np.float32) for slide in corpus]
    unit = ContextUnit.of(corpus, side, PRESETS["tiny"].d, parts)
    torch.manual_seed(0)
    module = ContextModel(50, PRESETS["tiny"])
    step = Step(module, 1e-3, "auto")
    if not replayed:
        step._recorder = None
    losses = []
    for k in range(50):
        batch = tensors(unit.draw(corpus, unit.samples_per_step, np.random.default_rng(k)), step.device)
        hidden = draw_hidden(module, batch, 0, k, step.device)
        step.flops(batch, hidden)
        losses.append(step.update(batch, hidden, 1e-3))
    return torch.stack(losses).cpu()


@gpu
@pytest.mark.parametrize("side", [1, 4, 8, 16, "slide"])
def test_replayed_steps_have_the_losses_of_steps_that_are_not_and_all_are_finite(side):
    plain, replayed = (losses_on_the_gpu(side, whether) for whether in (False, True))
    assert plain.isfinite().all()
    torch.testing.assert_close(replayed, plain)
