"""Speed: how fast each method of a config trains on this machine, beside a plain matrix product."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmark.core import registry
from benchmark.core.apart import apart
from benchmark.core.config import Config, Method
from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.corpus import Corpus
from benchmark.experiment.trial import learners, trained_for
from benchmark.training.machine import machine

NAMES = ("method", "precision", "step, ms", "spots/s", "GFLOP/s", "of a product", "memory, MB")
DEVICES = ("auto", "cpu", "cuda")


def choose(device: str) -> None:
    """Train on this device from now on.

    Raises:
        UnitBenchError: there is no such device here.
    """
    if device not in DEVICES:
        raise UnitBenchError(f"--device {device}", "no such device", f"one of {', '.join(DEVICES)}")
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if device == "cuda" and machine("auto")["device"] in ("cpu", "mps"):
        raise UnitBenchError("--device cuda", "no GPU of NVIDIA's here", "leave it out")


def bench(config: Config, corpus: Corpus, threads: int, seconds: float) -> Iterator[str]:
    """The lines of a table: each method of the config that learns, as fast as it trains in its own loop.

    Args:
        threads: that a process may use.
        seconds: that each method trains.
    """
    yield _line(NAMES)
    import_module("benchmark.training.loop")  # so that the processes need not import it
    products = apart("the matrix product", _products, threads)
    for entry in learners(config):
        registry.find("methods", entry.method).load()
        try:
            found = apart(entry.label, _speed, config, corpus, entry, threads, seconds)
        except UnitBenchError as error:
            yield str(error)
        else:
            yield _line(_row(entry.label, found, products))
    peaks = ", ".join(f"{rate / 1e9:,.1f} GFLOP/s in {name}" for name, rate in products.items())
    yield f"a product: of plain matrices in the same precision, {peaks}"


def _products(threads: int) -> dict[str, float]:
    import torch

    from benchmark.training.rates import DTYPES, matmul_rate

    torch.set_num_threads(threads)
    return {name: matmul_rate(name) for name in DTYPES}


def _speed(config: Config, corpus: Corpus, entry: Method, threads: int, seconds: float) -> dict[str, Any]:
    """Precision; FLOPs and spots of a step; FLOP/s once the training is under way; bytes of memory."""
    import torch

    from benchmark.training.step import precision

    torch.set_num_threads(threads)
    method, meter = trained_for(seconds, config, corpus, entry)
    under_way = [point["flops_per_second"] for point in meter.curve[1:]]
    used = precision(config.precision, offer(method, "model"))
    return {
        "precision": "bf16" if used == "bf16-mixed" else "fp32",
        "flops": meter.flops / meter.steps,
        "spots": meter.spots / meter.steps,
        "rate": statistics.median(under_way) if under_way else meter.flops / meter.device_seconds,
        "memory": meter.peak_memory_bytes,
    }


def _row(label: str, found: dict[str, Any], products: dict[str, float]) -> tuple[str, ...]:
    rate, seconds = found["rate"], found["flops"] / found["rate"]
    share = rate / products[found["precision"]]
    figures = (f"{seconds * 1e3:.3g}", f"{found['spots'] / seconds:,.0f}", f"{rate / 1e9:,.1f}", f"{share:.1%}")
    return label, found["precision"], *figures, f"{found['memory'] / 1e6:,.0f}"


def _line(values: tuple[str, ...]) -> str:
    first, *rest = values
    return f"{first:30}" + "".join(f"{value:>13}" for value in rest)
