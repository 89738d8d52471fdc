"""Speed: each unit's samples a second, and the FLOP/s of its training step beside a plain matrix product's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch

from benchmark.core.contracts import Unit, offer
from benchmark.model.trunk import PRESETS
from benchmark.training.budget import count_flops
from benchmark.training.learner import module_for
from benchmark.training.loop import make_optimizer, precision, samples_per_step, set_up, tensors, update
from benchmark.units.patch import PatchUnit
from benchmark.units.slide import SlideUnit
from benchmark.units.spot import SpotUnit

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from benchmark.data.corpus import Corpus

SECONDS = 3.0


@dataclass(frozen=True)
class Speed:
    """One row: a unit with a trunk."""

    unit: Unit
    preset: str
    samples_per_second: float  # loaded
    samples_per_step: int
    flops: int  # of a step
    seconds: float  # of a step

    @property
    def loading(self) -> float:
        """Time to load a step's samples, as a share of the step."""
        return self.samples_per_step / self.samples_per_second / self.seconds


@dataclass(frozen=True)
class MadeUp:
    """Square slides full of spots, a quarter of their counts not zero: a corpus where no data and no reader is."""

    n_slides: int = 4
    side: int = 32
    n_genes: int = 11_871

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"slide{number}" for number in range(self.n_slides))

    @property
    def genes(self) -> np.ndarray:
        return np.arange(self.n_genes)

    @property
    def n_spots(self) -> int:
        return self.n_slides * self.side**2

    def __len__(self) -> int:
        return self.n_slides

    def __iter__(self):
        cell = np.argwhere(np.ones((self.side, self.side)))
        for seed in range(self.n_slides):
            counts = sp.random(len(cell), self.n_genes, 0.25, "csr", np.float32, np.random.default_rng(seed))
            counts.data = np.ceil(-2 * np.log1p(-counts.data))
            place = {"lattice": cell, "position": cell.astype(np.float32)}
            yield SimpleNamespace(X=counts, obsm=place, n_obs=len(cell))


def bench(corpus: Corpus | MadeUp, preset: str, threads: int) -> tuple[float, list[Speed]]:
    """FLOP/s of a matrix product, and the speed of every unit with the trunk `preset`, first the paper's patch."""
    from lightning_fabric import Fabric

    torch.set_num_threads(threads)
    most = len(corpus.genes)
    fabric = Fabric(accelerator="auto", devices=1, precision=precision("auto"))
    peak = matmul_rate(fabric.device, torch.bfloat16 if "bf16" in precision("auto") else torch.float32)
    paper = PatchUnit(16, min(512, most))
    units = (paper, PatchUnit(8, min(256, most)), SlideUnit(min(256, most)), SpotUnit(128))
    return peak, [speed(paper, corpus, "paper", fabric), *(speed(unit, corpus, preset, fabric) for unit in units)]


def lines(peak: float, speeds: list[Speed]) -> list[str]:
    """The table of `bench`."""
    names = ("unit", "trunk", "samples/s", "step, ms", "a sample", "GFLOP/s", "of peak", "loading")
    found = ["{:30} {:>6} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8}".format(*names)]
    for its in speeds:
        unit = f"{its.unit.name}, " + (f"{its.unit.size} × {its.unit.size}, " if its.unit.name == "patch" else "")
        unit += f"{offer(its.unit, 'n_channels') or offer(its.unit, 'n_tokens')} genes"
        rate, ms = its.flops / its.seconds, its.seconds * 1e3
        found.append(
            f"{unit:30} {its.preset:>6} {its.samples_per_second:>9,.0f} {ms:>9.1f} {ms / its.samples_per_step:>9.2f} "
            f"{rate / 1e9:>8.1f} {rate / peak:>8.0%} {its.loading:>8.1%}"
        )
    return [*found, f"peak: a plain matrix product of the same precision, {peak / 1e9:.1f} GFLOP/s"]


def speed(unit: Unit, corpus: Corpus | MadeUp, preset: str, fabric: Fabric) -> Speed:
    rngs = map(np.random.default_rng, itertools.count())
    samples = unit.at_once / timed(lambda: unit.draw(corpus, unit.at_once, next(rngs)))
    n = samples_per_step(unit, corpus)
    return Speed(unit, preset, samples, n, *training_step(unit, corpus, preset, n, fabric))


def training_step(unit: Unit, corpus: Corpus | MadeUp, preset: str, n: int, fabric: Fabric) -> tuple[int, float]:
    """FLOPs and seconds of one step (forward, backward, optimiser) on one batch of `n` samples."""
    samples = unit.draw(corpus, n, np.random.default_rng(0))
    module = module_for(unit.name)(torch.zeros(len(corpus.genes)), PRESETS[preset])
    batch = tensors(samples, fabric.device)
    hidden = module.to(fabric.device).draw_hidden(batch, torch.Generator(fabric.device).manual_seed(0))
    flops = count_flops(module, batch, hidden)
    model, optimizer = set_up(fabric, module, make_optimizer(module, 1e-4))
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


if __name__ == "__main__":  # on a machine that has neither the data nor the readers' packages
    print("\n".join(lines(*bench(MadeUp(), "base" if torch.cuda.is_available() else "tiny", threads=1))))
