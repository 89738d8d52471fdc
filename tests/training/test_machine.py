"""The machine, told without PyTorch, is the one that PyTorch trains on."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from benchmark.training import machine
from benchmark.training.machine import BY_WIDTH
from benchmark.training.machine import machine as told
from benchmark.training.step import make_fabric, precision

TWO = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa11)
  MIG 1g.5gb     Device  0: (UUID: MIG-cc33)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bb22)
"""


@pytest.mark.parametrize("wanted", ["auto", "bf16", "fp32"])
def test_it_is_what_pytorch_trains_on(wanted):
    here = told(wanted)
    assert here["torch"] == torch.__version__
    narrow, wide = (torch.nn.Linear(d, d) for d in (255, 256))
    expected = {"fp32": ["32-true"] * 2, "bf16": ["bf16-mixed"] * 2, BY_WIDTH: ["32-true", "bf16-mixed"]}
    assert [precision(wanted, module) for module in (narrow, wide)] == expected[here["precision"]]
    device = make_fabric(wanted).device
    assert here["device"] == (torch.cuda.get_device_name(device) if device.type == "cuda" else device.type)


@pytest.mark.parametrize(
    ("flags", "expected"), [("amx_bf16 avx512_bf16", "bf16"), ("avx512_bf16", BY_WIDTH), ("avx512f", "fp32")]
)
def test_auto_is_what_the_processor_does_fast(monkeypatch, flags, expected):
    monkeypatch.setattr(machine, "_gpu", lambda visible: None)
    monkeypatch.setattr(machine, "_flags", lambda: frozenset(flags.split()))
    assert told("auto")["precision"] == expected


def test_it_neither_imports_pytorch_nor_sets_up_a_device():
    code = (
        "import sys; from benchmark.training.machine import machine; machine('auto'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("visible", "device"),
    [
        (None, "NVIDIA A100-SXM4-40GB"),
        ("1", "NVIDIA H100 80GB HBM3"),
        ("1,0", "NVIDIA H100 80GB HBM3"),
        ("GPU-bb22", "NVIDIA H100 80GB HBM3"),
        ("MIG-cc33", "NVIDIA A100-SXM4-40GB (a part)"),
        ("", "cpu"),
        ("-1", "cpu"),
    ],
)
def test_the_device_is_the_first_that_is_visible(tmp_path, monkeypatch, visible, device):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{TWO}END\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine, "_torch", lambda: "2.9.0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine._gpu.cache_clear()
    try:
        here = told("auto")
        assert here["device"] == device
        assert here["precision"] == "bf16" or device == "cpu"
    finally:
        machine._gpu.cache_clear()
