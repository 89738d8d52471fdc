"""The table of speeds: by hand from what a training tells of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmark.core.config import Config
from benchmark.core.errors import UnitBenchError
from benchmark.experiment import bench as benched
from benchmark.training.budget import Meter
from tests.helpers.arms import config


def table(monkeypatch, trained_for) -> list[str]:
    asked: Config = config(methods=["pca", {"method": "context", "label": "dial"}], precision="fp32")
    monkeypatch.setattr(benched, "trained_for", trained_for)
    monkeypatch.setattr(benched, "_products", lambda threads: {"fp32": 50e9, "bf16": 100e9})
    return list(benched.bench(asked, SimpleNamespace(), 1, 5.0))


def test_a_step_is_as_fast_as_the_median_once_the_training_is_under_way(monkeypatch):
    rates = (1e9, 30e9, 25e9, 20e9)  # the first includes what is done once
    meter = Meter("device_seconds", 5.0, flops=1e10, device_seconds=5.0, spots=2000, steps=10, peak_memory_bytes=7e8)
    meter.curve += [{"flops_per_second": rate} for rate in rates]
    heading, row, peaks = table(monkeypatch, lambda *_: (SimpleNamespace(), meter))
    assert heading.split()[:2] == ["method", "precision"]
    # A step is 1e9 FLOPs, so 40 ms; its 200 spots are 5,000 a second; 25 of 50 GFLOP/s. `pca` does not learn.
    assert row.split() == ["dial", "fp32", "40", "5,000", "25.0", "50.0%", "700"]
    assert peaks.endswith("50.0 GFLOP/s in fp32, 100.0 GFLOP/s in bf16")


def test_a_method_that_cannot_be_tried_has_a_line_with_the_reason(monkeypatch):
    def refuse(*_):
        raise UnitBenchError("method 'dial'", "took no step in 5 s")

    assert table(monkeypatch, refuse)[1] == "method 'dial': took no step in 5 s"


def test_a_device_that_is_not_here_is_one_line(monkeypatch):
    monkeypatch.setattr(benched, "machine", lambda precision: {"device": "cpu"})
    for device, cause in (("cuda", "no GPU"), ("tpu", "no such device")):
        with pytest.raises(UnitBenchError, match=cause):
            benched.choose(device)
