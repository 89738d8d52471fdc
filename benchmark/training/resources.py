"""What a stretch of work takes from the machine: seconds on the device, peak memory, energy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmark.core.memory import peak_rss, reset_peak_rss
from benchmark.training.budget import Meter
from benchmark.training.group import ALONE, Group

SIDE = 1024  # of the matrices whose product shows what the device can do
KINDS = (torch.float32, torch.bfloat16)  # bfloat16 last: a CPU without it takes seconds for a product


def matrix_product_rate(kind: torch.dtype) -> float:
    """FLOP/s of a matrix product on the machine's best device: the best of a few, of one where one takes seconds."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    a = torch.ones(SIDE, SIDE, dtype=kind, device=device)
    best = math.inf
    for _ in range(4):  # the first one warms up
        wait()
        start = time.perf_counter()
        a @ a
        wait()
        best = min(best, time.perf_counter() - start)
        if best > 1:
            break
    return 2 * SIDE**3 / best


@contextmanager
def clock(meter: Meter, device: torch.device, group: Group = ALONE) -> Iterator[None]:
    """Adds the seconds of its body to the meter, those of all processes of the group, which wait for each other at its
    end. The device's queue is emptied before and after."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    yield
    wait()
    meter.device_seconds += group.total(time.perf_counter() - start)


class MemoryAndEnergy:
    """Peak memory and energy since it was made: the allocator's and NVML's on a GPU, the process's peak on a CPU.

    Memory is that of the device that took most; energy is that of all.
    """

    def __init__(self, device: torch.device, group: Group = ALONE):
        self.device, self.group = device, group
        self._joules = _joules(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            reset_peak_rss()

    def read(self, meter: Meter) -> None:
        """Bring the meter's `peak_memory_bytes` and `energy_joules` up to date."""
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else peak_rss()
        meter.peak_memory_bytes = max(meter.peak_memory_bytes, int(self.group.most(peak)))
        before, self._joules = self._joules, _joules(self.device)
        known = before is not None and self._joules is not None
        spent = self.group.total(self._joules - before if known else math.nan)
        if not math.isnan(spent):
            meter.energy_joules = (meter.energy_joules or 0.0) + spent


def _joules(device: torch.device) -> float | None:
    """NVML's cumulative counter (Volta or newer); None where the device has none."""
    if device.type != "cuda":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)) / 1000
    except Exception:
        return None
