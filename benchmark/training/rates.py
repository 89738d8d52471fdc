"""What a device can do: the FLOP/s of a plain matrix product, and the seconds of a call."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmark.training.step import make_fabric

SECONDS = 3.0  # of a measurement
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def matmul_rate(precision: str, n: int | None = None) -> float:
    """FLOP/s of a product of two `[n, n]` matrices on the device of a training step.

    Args:
        precision: a key of `DTYPES`.
        n: None: large enough for the device.
    """
    device = make_fabric("auto").device
    n = n or (8192 if device.type == "cuda" else 2048)
    a, b = (torch.randn(n, n, device=device, dtype=DTYPES[precision]) for _ in range(2))
    return 2 * n**3 / timed(lambda: a @ b, device)


def timed(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Median seconds of one call over about `SECONDS`, after three calls to warm up."""
    wait = torch.cuda.synchronize if device is not None and device.type == "cuda" else lambda: None
    for _ in range(3):
        work()
    seconds: list[float] = []
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or not seconds:
        wait()
        start = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
