"""The one training loop: any module that gives a loss, any unit that gives batches, any budget."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.core.contracts import Unit, offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_atomic
from benchmark.training.budget import Budget, MemoryAndEnergy, Meter, clock, count_flops
from benchmark.units.batch import Batch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from benchmark.data.corpus import Corpus

TOKENS_PER_STEP = 512  # the same for every unit: at equal FLOPs all take about as many steps
CHECK_EVERY = 32  # steps between two looks at the loss
WARM_UP = 0.1
CHECKPOINT_SECONDS = 30.0
FUSED = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)  # older ones fuse on the GPU alone


def cosine(fraction: float) -> float:
    """Share of the learning rate at a fraction of the budget: linear warm-up, then half a cosine to zero."""
    if fraction < WARM_UP:
        return (fraction + 0.01) / (WARM_UP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (fraction - WARM_UP) / (1 - WARM_UP))))


def pretrain(
    module: torch.nn.Module,
    unit: Unit,
    corpus: Corpus,
    budget: Budget,
    seed: int,
    learning_rate: float,
    schedule: Callable[[float], float] = cosine,
) -> Meter:
    """Train `module` in place until the budget is spent.

    The module gives a step's loss, `module(batch, *hidden)`, with `hidden` the tensor or tuple of tensors that its
    `draw_hidden(batch, generator)` gave: random choices, whose shapes need the batch's values. A module whose objective
    changes on the way has `advance(fraction)`, told the fraction of the budget spent before each step; it returns its
    phase, anything hashable, since steps of equal shapes then cost the same within a phase alone.

    What step k sees depends on the seed and k alone, so a run that resumes from a checkpoint ends as an unbroken one.

    Raises:
        UnitBenchError: the loss is no longer finite, or spent and target differ by over 2%.
    """
    from lightning_fabric import Fabric  # seconds to import, and many processes never train

    fabric = Fabric(accelerator="auto", devices=1, precision=precision(budget.precision))
    optimizer = make_optimizer(module, learning_rate)
    meter = Meter(budget.axis, budget.amount, seen=np.zeros(corpus.n_spots, dtype=bool))
    model, optimizer = set_up(fabric, module, optimizer)
    _resume(budget, module, optimizer, meter)  # after the set-up, so that the optimiser's state is on the device too
    model.train()
    resources = MemoryAndEnergy(fabric.device)
    flops: dict[tuple, int] = {}
    last_saved = time.monotonic()
    n = samples_per_step(unit, corpus)
    steps_per_draw = max(1, unit.at_once // n)
    advance = offer(module, "advance")
    drawn, present = None, -1

    while meter.has_room(meter.step_cost):
        with clock(meter, fabric.device):
            draw, k = divmod(meter.steps, steps_per_draw)
            if draw != present:
                drawn = unit.draw(corpus, n * steps_per_draw, np.random.default_rng([seed, draw]))
                present = draw
            samples = drawn[k * n : (k + 1) * n]
            batch = tensors(samples, fabric.device)
            generator = torch.Generator(fabric.device).manual_seed(hash((seed, meter.steps)) % 2**63)
            hidden = module.draw_hidden(batch, generator)
            hidden = hidden if isinstance(hidden, tuple) else (hidden,)
        phase = advance(meter.fraction) if advance else None
        kind = (phase, *(tensor.shape for tensor in (*batch.values(), *hidden)))
        if kind not in flops:
            flops[kind] = count_flops(module, batch, *hidden)
            warm_up(fabric, model, optimizer, batch, *hidden)
        cost = {
            "flops": flops[kind],
            "spots": samples.n_spots,
            "device_seconds": meter.device_seconds / (meter.steps + 1),
        }[budget.axis]
        if not meter.has_room(cost):
            break
        _seed_dropout(hash((seed, meter.steps, 1)) % 2**63, fabric.device)
        with clock(meter, fabric.device):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * schedule(meter.fraction)
            loss = update(fabric, model, optimizer, batch, *hidden)
        meter.flops += flops[kind]
        meter.spots += samples.n_spots
        meter.seen[samples.spot[samples.spot >= 0]] = True
        meter.steps += 1
        meter.step_cost = cost
        if meter.steps % CHECK_EVERY == 0:
            value = loss.item()
            if not math.isfinite(value):
                raise UnitBenchError(
                    "pretraining", f"diverged at step {meter.steps} (loss {value})", "lower the learning rate"
                )
            resources.read(meter)
            budget.progress(meter.fraction, f"loss {value:.4f}")
            if budget.checkpoint and time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                _save(budget, module, optimizer, meter)
                last_saved = time.monotonic()
    resources.read(meter)
    meter.check()
    return meter


def _seed_dropout(seed: int, device: torch.device) -> None:
    """As `torch.manual_seed`, which on a machine without a GPU queues every call for one, in a list that grows."""
    (torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed)(seed)


def make_optimizer(module: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=0.05, betas=(0.9, 0.95), fused=FUSED)


def set_up(fabric: Fabric, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> tuple:
    """The module and its optimiser on the device.

    On a GPU the module's steps are compiled: in place, so that its state keeps its names, and any copy of it is plain.
    The second shape is compiled with what varies left open, and serves all others: units differ in tokens alone.
    """
    if fabric.device.type == "cuda":
        module.compile()
    return fabric.setup(module, optimizer)


def warm_up(fabric: Fabric, model, optimizer, batch: dict[str, torch.Tensor], *hidden: torch.Tensor) -> None:
    """On a GPU, a step that moves no parameter, so that no clock counts what a new shape takes to compile."""
    if fabric.device.type == "cuda":
        fabric.backward(model(batch, *hidden))
        optimizer.zero_grad()


def update(fabric: Fabric, model, optimizer, batch: dict[str, torch.Tensor], *hidden: torch.Tensor) -> torch.Tensor:
    """One step: forward, backward, optimiser. Returns the loss."""
    loss = model(batch, *hidden)
    fabric.backward(loss)
    fabric.clip_gradients(model, optimizer, max_norm=1.0, error_if_nonfinite=False)
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


def samples_per_step(unit: Unit, corpus: Corpus) -> int:
    """The unit's own number, else as many as hold about `TOKENS_PER_STEP` tokens."""
    tokens = unit.tokens_per_sample(corpus)
    return offer(unit, "samples_per_step") or max(1, round(TOKENS_PER_STEP / tokens))


def precision(wanted: str) -> str:
    """bf16 where the hardware multiplies it faster than float32, or as told."""
    amx = getattr(torch.cpu, "_is_amx_tile_supported", bool)()  # torch 2.3 cannot tell
    fast = torch.cuda.is_available() or amx
    return "bf16-mixed" if wanted == "bf16" or (wanted == "auto" and fast) else "32-true"


def tensors(batch: Batch, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """What a module reads of a batch: the arrays that the batch names in `inputs`."""
    return {name: torch.as_tensor(np.ascontiguousarray(getattr(batch, name)), device=device) for name in batch.inputs}


def _save(budget: Budget, module: torch.nn.Module, optimizer: torch.optim.Optimizer, meter: Meter) -> None:
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
    state["meter"] = dataclasses.asdict(meter) | {"seen": torch.from_numpy(meter.seen)}
    write_atomic(budget.checkpoint, lambda temporary: torch.save(state, temporary))


def _resume(budget: Budget, module: torch.nn.Module, optimizer: torch.optim.Optimizer, meter: Meter) -> None:
    if budget.checkpoint is None or not budget.checkpoint.exists():
        return
    state = torch.load(budget.checkpoint, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    for name, value in state["meter"].items():
        setattr(meter, name, value.numpy() if name == "seen" else value)
