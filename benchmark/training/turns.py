"""A step's samples divided among devices and turns, so that the parts together compute the step itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.training.budget import Training

Tensors = dict[str, torch.Tensor]
COUNTS = "counts"  # what a module divides the losses of a part by, in its batch


class Turn(NamedTuple):
    """What a device computes at once: a part of the batch and of the random choices, and the weight of its loss."""

    batch: Tensors
    hidden: tuple[torch.Tensor, ...]
    weight: float


def turns(
    module: torch.nn.Module, batch: Tensors, hidden: tuple[torch.Tensor, ...], training: Training, rank: int
) -> list[Turn]:
    """The turns of one device. The losses of all turns, times their weights, have the step's loss as mean over devices.

    All devices have as many turns, since they add up their gradients together. One without a sample computes the first
    of the step, with a weight of 0.

    Raises:
        UnitBenchError: the module does not say how its loss is divided.
    """
    if training.n_devices * training.accumulate == 1:
        return [Turn(batch, hidden, 1)]
    counts = _counts(module)(batch, *hidden).clamp(min=1)
    n = len(next(iter(batch.values())))
    found = []
    for rows in np.array_split(np.arange(n), training.n_devices * training.accumulate)[rank :: training.n_devices]:
        part = slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 1)
        of_rows = {name: tensor[part] for name, tensor in batch.items()} | {COUNTS: counts}
        chosen = tuple(tensor[part] if len(tensor) == n else tensor for tensor in hidden)
        found.append(Turn(of_rows, chosen, training.n_devices if len(rows) else 0))
    return found


def _counts(module: torch.nn.Module) -> Any:
    if counts := offer(module, COUNTS):
        return counts
    cause = "its loss is no mean that parts of a step could share, so it trains on one device at once"
    raise UnitBenchError(f"training: {type(module).__name__}", cause, "set devices, nodes and accumulate to 1")
