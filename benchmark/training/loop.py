"""The one training loop: any module that gives a loss, any unit that gives batches, any budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from benchmark.core.contracts import Unit, offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.pages import give_back
from benchmark.training.budget import Budget, Meter
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.course import Course
from benchmark.training.devices import on_devices
from benchmark.training.resources import MemoryAndEnergy, clock
from benchmark.training.step import Step, make_fabric
from benchmark.training.watch import unwatched
from benchmark.units.batch import Batch

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

TOKENS_PER_STEP = 512  # the same for every unit: at equal FLOPs all take about as many steps
CHECK_EVERY = 32  # steps between two looks at the loss
WARM_UP = 0.1  # share of the budget
CHECKPOINT_SECONDS = 30.0


def cosine(fraction: float) -> float:
    """Share of the learning rate at a fraction of the budget: linear warm-up, then half a cosine to zero."""
    if fraction < WARM_UP:
        return (fraction + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (fraction - WARM_UP) / (1 - WARM_UP))))


@unwatched()  # it counts its own FLOPs
def pretrain(
    module: torch.nn.Module,
    unit: Unit,
    corpus: Corpus,
    budget: Budget,
    seed: int,
    learning_rate: float,
    schedule: Callable[[float], float] = cosine,
) -> Meter:
    """Train `module` (see `benchmark.core.contracts.Module`) in place until the budget is spent. Returns its meter.

    What step k sees depends on the seed and k alone, so a run that resumes from a checkpoint ends as an unbroken one.

    Raises:
        UnitBenchError: the loss is no longer finite, or spent and target differ by over 2%.
    """
    if budget.training.n_devices > 1:
        on_devices(train, module, unit, corpus, budget, seed, learning_rate, schedule)
        module.to(make_fabric(budget.precision).device)
    else:
        train(module, unit, corpus, budget, seed, learning_rate, schedule)
    return budget.meter


def train(
    module: torch.nn.Module,
    unit: Unit,
    corpus: Corpus,
    budget: Budget,
    seed: int,
    learning_rate: float,
    schedule: Callable[[float], float],
) -> Checkpoint:
    """The loop itself, in each process of `budget.training`. All draw every step whole, and take their part of it."""
    step = Step(module, learning_rate, budget.precision, budget.training)
    meter, group = budget.meter, step.group
    meter.seen, meter.devices = np.zeros(corpus.n_spots, dtype=bool), group.n
    checkpoint = Checkpoint(budget.checkpoint, module, step.optimizer, meter, group)
    checkpoint.resume()  # the module is on the device by now, so the optimiser's state comes there too
    resources = MemoryAndEnergy(step.device, group)
    course = Course(meter, module, step.optimizer)
    if group.n > 1:
        Samples(unit, corpus, seed)[meter.steps]  # a new process reads the corpus here, before the clock runs

    with Ahead(Samples(unit, corpus, seed)) as samples_of:
        while meter.has_room(meter.step_cost):
            with clock(meter, step.device, group):
                samples = samples_of[meter.steps]
                batch = tensors(samples, step.device)
                hidden = draw_hidden(module, batch, seed, meter.steps, step.device)
            flops = step.flops(batch, hidden, step.advance(meter.fraction))
            cost = meter.price(flops, samples.n_spots)
            if not meter.has_room(cost):
                break
            seed_dropout(seed, meter.steps, step.device, group.rank)
            with clock(meter, step.device, group):
                loss = step.update(batch, hidden, learning_rate * schedule(meter.fraction))
            meter.add(samples, flops, cost)
            course.add(loss)
            if meter.steps % CHECK_EVERY == 0:
                value = finite(loss, meter.steps)
                course.point()
                resources.read(meter)
                if group.rank == 0:
                    budget.progress(meter.fraction, f"loss {value:.4f}")
                checkpoint.save_after(CHECKPOINT_SECONDS)
    resources.read(meter)
    meter.check()
    return checkpoint


class Samples:
    """The samples of each step, by its number. Those of several steps are drawn at once, as many as the unit likes."""

    def __init__(self, unit: Unit, corpus: Corpus, seed: int):
        self._unit, self._corpus, self._seed = unit, corpus, seed
        self._n = samples_per_step(unit, corpus)
        self._steps = max(1, unit.at_once // self._n)
        self._draw = -1  # the number of the present draw

    def __getitem__(self, k: int) -> Batch:
        draw, row = divmod(k, self._steps)
        if draw != self._draw:
            give_back()
            rng = np.random.default_rng([self._seed, draw])
            self._drawn, self._draw = self._unit.draw(self._corpus, self._n * self._steps, rng), draw
        return self._drawn[row * self._n : (row + 1) * self._n]


class Ahead:
    """The samples of one step after another. A thread draws those of the next while a step is computed."""

    def __init__(self, samples: Samples):
        self._samples, self._thread = samples, ThreadPoolExecutor(1)
        self._next: tuple[int, Future[Batch] | None] = (-1, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __getitem__(self, k: int) -> Batch:
        number, drawn = self._next
        if drawn is None or number != k:
            drawn = self._thread.submit(self._samples.__getitem__, k)
        batch = drawn.result()
        self._next = k + 1, self._thread.submit(self._samples.__getitem__, k + 1)
        return batch


def samples_per_step(unit: Unit, corpus: Corpus) -> int:
    """The unit's own number, else as many as hold about `TOKENS_PER_STEP` tokens."""
    tokens = unit.tokens_per_sample(corpus)
    return offer(unit, "samples_per_step") or max(1, round(TOKENS_PER_STEP / tokens))


def tensors(batch: Batch, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """What a module reads of a batch: the arrays that the batch names in `inputs`."""
    return {name: torch.as_tensor(np.ascontiguousarray(getattr(batch, name)), device=device) for name in batch.inputs}


def draw_hidden(
    module: Any, batch: dict[str, torch.Tensor], seed: int, k: int, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """The random choices of step `k`: what the module's `draw_hidden` gives."""
    hidden = module.draw_hidden(batch, torch.Generator(device).manual_seed(hash((seed, k)) % 2**63))
    return hidden if isinstance(hidden, tuple) else (hidden,)


def seed_dropout(seed: int, k: int, device: torch.device, rank: int = 0) -> None:
    """As `torch.manual_seed`. On a machine without a GPU that would queue every call for one, in a list that grows."""
    set_seed = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    set_seed(hash((seed, k, 1 + rank)) % 2**63)


def finite(loss: torch.Tensor, k: int) -> float:
    """The loss of step `k` as a number. Raises UnitBenchError if it is not finite."""
    value = loss.item()
    if not math.isfinite(value):
        remedy = "lower the learning rate"
        if loss.is_cuda:  # where a compiled step has failed that is finite without the compiler: docs/speed.md
            remedy += ", or set TORCH_COMPILE_DISABLE=1 and TORCHDYNAMO_DISABLE=1"
        raise UnitBenchError("pretraining", f"diverged at step {k} (loss {value})", remedy)
    return value
