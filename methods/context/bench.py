"""Speed of a training step of `context` for each preset and side, beside a plain matrix product of the same device.

    python -m methods.context.bench --presets tiny small base --sides 1 8 16 slide --times 1 64

It needs no data: tokens and slides are made up.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from benchmark.model.trunk import PRESETS
from benchmark.training.loop import draw_hidden, tensors
from benchmark.training.made_up import MadeUp
from benchmark.training.rates import matmul_rate, timed
from benchmark.training.step import Step, precision
from methods.context.model import ContextModel
from methods.context.tokens import GROUPS, N_COMPONENTS
from methods.context.unit import ContextUnit, Side

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

NAMES = (
    "preset",
    "side",
    "tokens a step",
    "precision",
    "first step, s",
    "loading, ms",
    "step, ms",
    "TFLOP/s",
    "a product's",
    "of it",
)
WIDTHS = (8, 6, 14, 10, 14, 12, 9, 8, 12, 6)


def rows(presets: list[str], sides: list[Side], times: list[int]) -> Iterator[tuple[object, ...]]:
    """The values of `NAMES` for each preset, side and number of steps' samples that one step takes together."""
    corpus = cast("Corpus", MadeUp(n_genes=100))
    rng = np.random.default_rng(0)
    shape = GROUPS, N_COMPONENTS
    parts = [rng.standard_normal((slide.n_obs, *shape)).astype(np.float32) for slide in corpus]
    for preset, side, k in itertools.product(presets, sides, times):
        unit = ContextUnit.of(corpus, side, PRESETS[preset].d, parts)
        n = k * unit.samples_per_step
        yield preset, side, n * unit.most, *row(corpus, unit, preset, n)


def row(corpus: Corpus, unit: ContextUnit, preset: str, n: int) -> tuple[str, ...]:
    """The values of `NAMES` from the precision on, for a step of `n` samples."""
    torch.manual_seed(0)
    model = ContextModel(N_COMPONENTS, PRESETS[preset])
    used = "bf16" if precision("auto", model) == "bf16-mixed" else "fp32"
    step = Step(model, 1e-4, "auto")
    loading = timed(lambda: unit.draw(corpus, n, np.random.default_rng(0)))
    batch = tensors(unit.draw(corpus, n, np.random.default_rng(0)), step.device)
    hidden = draw_hidden(model, batch, 0, 0, step.device)
    start = time.perf_counter()
    flops = step.flops(batch, hidden)
    step.update(batch, hidden, 1e-4)
    first = time.perf_counter() - start
    seconds = timed(lambda: step.update(batch, hidden, 1e-4), step.device)
    rate, of = flops / seconds, peak(used)
    figures = (first, loading * 1e3, seconds * 1e3, rate / 1e12, of / 1e12)
    return used, *(f"{value:.3g}" for value in figures), f"{rate / of:.1%}"


@cache
def peak(used: str) -> float:
    """FLOP/s of a plain matrix product of this precision."""
    return matmul_rate(used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["tiny", "small", "base"])
    parser.add_argument("--sides", nargs="+", default=["1", "8", "16", "slide"])
    parser.add_argument(
        "--times", nargs="+", type=int, default=[1], help="Steps' samples that one step takes together."
    )
    given = parser.parse_args()
    sides = cast("list[Side]", [side if side == "slide" else int(side) for side in given.sides])
    for values in itertools.chain([NAMES], rows(given.presets, sides, given.times)):
        print(*(f"{value!s:>{width}}" for value, width in zip(values, WIDTHS, strict=True)), flush=True)


if __name__ == "__main__":
    main()
