"""Speed: each unit's samples a second, and the FLOP/s of its training step beside a plain matrix product's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.budget import count_flops
from benchmark.model.learner import module_for
from benchmark.model.trunk import PRESETS
from benchmark.pretrain import make_optimizer, precision, samples_per_step, tensors, update
from benchmark.units.patch import PatchUnit
from benchmark.units.slide import SlideUnit
from benchmark.units.spot import SpotUnit

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from benchmark.corpus import Corpus

SECONDS = 3.0


def bench(corpus: Corpus, preset: str, threads: int) -> tuple[float, list[dict]]:
    """FLOP/s of a matrix product, and a row a unit: samples a second, FLOPs and seconds of a step, loading's share."""
    from lightning_fabric import Fabric

    torch.set_num_threads(threads)
    most = len(corpus.genes)
    fabric = Fabric(accelerator="auto", devices=1, precision=precision("auto"))
    peak = matmul_rate(fabric.device, torch.bfloat16 if "bf16" in precision("auto") else torch.float32)
    rows = []
    for unit in (PatchUnit(16, min(512, most)), PatchUnit(8, min(256, most)), SlideUnit(min(256, most)), SpotUnit(128)):
        rngs = map(np.random.default_rng, itertools.count())
        samples = unit.at_once / timed(lambda unit=unit, rngs=rngs: unit.draw(corpus, unit.at_once, next(rngs)))
        flops, seconds = training_step(unit, corpus, preset, fabric)
        loading = samples_per_step(unit, corpus) / samples
        rows.append(
            {"unit": unit, "samples": samples, "flops": flops, "seconds": seconds, "loading": loading / seconds}
        )
    return peak, rows


def training_step(unit, corpus: Corpus, preset: str, fabric: Fabric) -> tuple[int, float]:
    """FLOPs and seconds of one step (forward, backward, optimiser) on one batch."""
    samples = unit.draw(corpus, samples_per_step(unit, corpus), np.random.default_rng(0))
    module = module_for(unit.name)(torch.zeros(len(corpus.genes)), PRESETS[preset])
    batch = tensors(samples, fabric.device)
    hidden = module.to(fabric.device).draw_hidden(batch, torch.Generator(fabric.device).manual_seed(0))
    flops = count_flops(module, batch, hidden)
    model, optimizer = fabric.setup(module, make_optimizer(module, 1e-4))
    return flops, timed(lambda: update(fabric, model, optimizer, batch, hidden), fabric.device)


def matmul_rate(device: torch.device, dtype: torch.dtype, n: int = 2048) -> float:
    """FLOP/s of a plain matrix product."""
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / timed(lambda: a @ b, device)


def timed(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Median seconds of one call over about `SECONDS`, after three calls to warm up."""
    wait = torch.cuda.synchronize if device is not None and device.type == "cuda" else lambda: None
    for _ in range(3):
        work()
    taken, until = [], time.perf_counter() + SECONDS
    while time.perf_counter() < until or not taken:
        wait()
        start = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))
