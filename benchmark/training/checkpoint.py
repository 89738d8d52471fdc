"""The checkpoint of a training: weights, optimiser and meter, written atomically and read back."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import torch

from benchmark.core.files import write_atomic
from benchmark.training.budget import Meter


class Checkpoint:
    """Keeps the state of these three at `path`; nowhere, if that is None."""

    def __init__(self, path: Path | None, module: torch.nn.Module, optimizer: torch.optim.Optimizer, meter: Meter):
        self.path, self.module, self.optimizer, self.meter = path, module, optimizer, meter
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Bring all three to the saved state, if there is one."""
        if self.path is None or not self.path.exists():
            return
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["meter"].items():
            setattr(self.meter, name, value.numpy() if name == "seen" else value)

    def save_after(self, seconds: float) -> None:
        """Save the state, if the last time is more than so many seconds ago."""
        if self.path is None or time.monotonic() - self._saved <= seconds:
            return
        state = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "meter": asdict(self.meter) | {"seen": torch.from_numpy(self.meter.seen)},
        }
        write_atomic(self.path, lambda temporary: torch.save(state, temporary))
        self._saved = time.monotonic()
