"""The course of a training: loss, learning rate and speed against the FLOPs spent, and copies of the weights."""

from __future__ import annotations

import torch

from benchmark.core.contracts import offer
from benchmark.training.budget import Meter
from benchmark.training.sharded import whole


class Course:
    """Keeps points of the meter's `curve`, and its `snapshots`.

    A point has the FLOPs spent so far; the mean loss and the FLOP/s since the last point; the learning rate now.
    """

    def __init__(self, meter: Meter, module: torch.nn.Module, optimizer: torch.optim.Optimizer):
        self._meter, self._module, self._optimizer = meter, module, optimizer
        self._at = offer(module, "snapshots") or ()
        self._begin()

    def _begin(self) -> None:
        self._from, self._total = (self._meter.steps, self._meter.flops, self._meter.device_seconds), 0.0

    def add(self, loss: torch.Tensor) -> None:
        """The loss of the step that the meter has counted. It is not read here, since a GPU would be waited for."""
        self._total = self._total + loss
        kept = len(self._meter.snapshots)
        if kept < len(self._at) and self._meter.fraction >= self._at[kept]:
            state = whole(self._module.state_dict())
            weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
            self._meter.snapshots.append((self._meter.flops, weights))

    def point(self) -> None:
        """The steps since the last point become a point."""
        meter, (steps, flops, seconds) = self._meter, self._from
        meter.curve.append(
            {
                "flops": meter.flops,
                "loss": float(self._total) / (meter.steps - steps),
                "learning_rate": float(self._optimizer.param_groups[0]["lr"]),
                "flops_per_second": (meter.flops - flops) / max(meter.device_seconds - seconds, 1e-9),
            }
        )
        self._begin()
