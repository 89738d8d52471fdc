"""The dial on a GPU: what comes after the training reads the model where it is. Skipped where there is no GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.model.trunk import PRESETS, Preset
from benchmark.training.budget import Budget
from methods.context.method import Context

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=64, layers=1, heads=4, learning_rate=1e-3))


@pytest.mark.parametrize("side", [1, 4, 8, "slide"])
def test_a_model_trained_on_a_gpu_tells_what_it_has_learned_and_reads_as_on_a_cpu(tissue, side, tmp_path):
    training, slide = tissue.for_methods(tissue.names[:4]), tissue[tissue.names[5]]
    method = Context(side=side, preset="micro")
    method.fit(training, Budget("flops", 2e10), seed=0)
    assert method.model.reach.device.type == "cuda"
    assert all(np.isfinite(value) for value in method.learned(slide).values())
    assert all(np.isfinite(point["r2"]) for point in method.curve(slide))
    method.save(tmp_path / "weights.safetensors")
    there = method.embed(slide)
    hidden = np.arange(slide.n_obs) % 5 == 0
    assert np.isfinite(method.reconstruct(slide, hidden)).all()

    here = Context(side=side, preset="micro")
    here.fit(training, Budget("flops", 0), seed=0)
    here.load(tmp_path / "weights.safetensors")
    np.testing.assert_allclose(there, here.embed(slide), atol=1e-2)
