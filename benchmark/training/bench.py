"""Speed: each unit's samples a second, and the FLOP/s of its training step beside a plain matrix product's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from benchmark.core.contracts import Unit, offer
from benchmark.model.trunk import PRESETS
from benchmark.training.learner import module_for
from benchmark.training.loop import draw_hidden, samples_per_step, tensors
from benchmark.training.made_up import MadeUp
from benchmark.training.step import Step, make_fabric, precision
from benchmark.units.patch import PatchUnit
from benchmark.units.spot import SpotUnit

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

SECONDS = 3.0  # of a measurement
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Speed:
    """One row: a unit with a trunk.

    Attributes:
        samples_per_second: loaded.
        flops, seconds: of a step of `samples_per_step` samples.
        precision: of the step.
    """

    unit: Unit
    preset: str
    samples_per_second: float
    samples_per_step: int
    flops: int
    seconds: float
    precision: str

    @property
    def loading(self) -> float:
        """Time to load a step's samples, as a share of the step."""
        return self.samples_per_step / self.samples_per_second / self.seconds


def bench(corpus: Corpus, preset: str, threads: int) -> tuple[dict[str, float], list[Speed]]:
    """FLOP/s of a matrix product by precision, and the speed of every unit with the trunk `preset`, first the paper's
    patch."""
    most = len(corpus.genes)
    paper = PatchUnit(16, min(512, most))
    units = (paper, PatchUnit(8, min(256, most)), SpotUnit(128))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        peaks = {name: matmul_rate(name) for name in DTYPES}
        return peaks, [speed(paper, corpus, "paper"), *(speed(unit, corpus, preset) for unit in units)]
    finally:
        torch.set_num_threads(before)


def lines(peaks: dict[str, float], speeds: list[Speed]) -> list[str]:
    """The table of `bench`."""
    names = ("unit", "trunk", "precision", "samples/s", "step, ms", "a sample", "GFLOP/s", "of peak", "loading")
    table = ["{:30} {:>6} {:>10} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8}".format(*names)]
    for row in speeds:
        size = f"{row.unit.size} × {row.unit.size}, " if isinstance(row.unit, PatchUnit) else ""
        n_genes = offer(row.unit, "n_channels") or offer(row.unit, "n_tokens")
        unit = f"{row.unit.name}, {size}{n_genes} genes"
        rate, ms = row.flops / row.seconds, row.seconds * 1e3
        table.append(
            f"{unit:30} {row.preset:>6} {row.precision:>10} {row.samples_per_second:>9,.0f} {ms:>9.1f} "
            f"{ms / row.samples_per_step:>9.2f} {rate / 1e9:>8.1f} {rate / peaks[row.precision]:>8.0%} "
            f"{row.loading:>8.1%}"
        )
    peak = ", ".join(f"{rate / 1e9:.1f} GFLOP/s in {name}" for name, rate in peaks.items())
    return [*table, f"peak: a plain matrix product of the same precision, {peak}"]


def speed(unit: Unit, corpus: Corpus, preset: str) -> Speed:
    """Measure one unit with the trunk `preset`."""
    rngs = map(np.random.default_rng, itertools.count())
    samples = unit.at_once / timed(lambda: unit.draw(corpus, unit.at_once, next(rngs)))
    n = samples_per_step(unit, corpus)
    return Speed(unit, preset, samples, n, *training_step(unit, corpus, preset, n))


def training_step(unit: Unit, corpus: Corpus, preset: str, n: int) -> tuple[int, float, str]:
    """FLOPs, seconds and precision of one step (forward, backward, optimiser) on one batch of `n` samples."""
    module = module_for(unit.name)(torch.zeros(len(corpus.genes)), PRESETS[preset])
    step = Step(module, 1e-4, "auto")
    batch = tensors(unit.draw(corpus, n, np.random.default_rng(0)), step.device)
    hidden = draw_hidden(module, batch, 0, 0, step.device)
    seconds = timed(lambda: step.update(batch, hidden, 1e-4), step.device)
    return step.flops(batch, hidden), seconds, "bf16" if precision("auto", module) == "bf16-mixed" else "fp32"


def matmul_rate(precision: str, n: int = 2048) -> float:
    """FLOP/s of a plain matrix product on the device of a training step."""
    device = make_fabric("auto").device
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


if __name__ == "__main__":  # on a machine that has neither the data nor the readers' packages
    made_up = cast("Corpus", MadeUp())  # as much of one as units use
    print("\n".join(lines(*bench(made_up, "base" if torch.cuda.is_available() else "tiny", threads=1))))
