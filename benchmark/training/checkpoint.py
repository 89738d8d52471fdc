"""The checkpoint of a training: weights, optimiser and meter, written atomically and read back."""

from __future__ import annotations

import copy
import sys
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmark.core.files import write_atomic
from benchmark.training.budget import Meter


class Checkpoint:
    """Keeps the state of these three at `path`; nowhere, if that is None."""

    def __init__(self, path: Path | None, module: torch.nn.Module, optimizer: torch.optim.Optimizer, meter: Meter):
        self.path, self.module, self.optimizer, self.meter = path, module, optimizer, meter
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Bring all three to the saved state, if there is one. A damaged file is set aside, and said: they stay new."""
        if self.path is None or not self.path.exists():
            return
        fresh = copy.deepcopy((self.module.state_dict(), self.optimizer.state_dict()))
        try:
            self._restore(_read(self.path))
        except Exception as error:  # each part of the file has exceptions of its own
            aside = self.path.with_name(f"{self.path.name}.damaged")
            self.path.replace(aside)
            self.module.load_state_dict(fresh[0])
            self.optimizer.load_state_dict(fresh[1])
            what = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"
            print(f"{self.path}: damaged ({what}); set aside as {aside.name}, the arm begins anew", file=sys.stderr)

    def _restore(self, state: dict[str, Any]) -> None:
        """The meter last: it changes only if the others fit."""
        meter = {name: state["meter"][name] for name in asdict(self.meter)}
        meter["seen"] = meter["seen"].numpy()
        if meter["seen"].shape != self.meter.seen.shape or meter["axis"] != self.meter.axis:
            raise ValueError("it is of another training")
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in meter.items():
            setattr(self.meter, name, value)

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


def _read(path: Path) -> dict[str, Any]:
    """What was saved. The file is a zip with checksums, which torch does not look at.

    Raises:
        Exception: it is damaged.
    """
    with zipfile.ZipFile(path) as file:
        if part := file.testzip():
            raise ValueError(f"the checksum of {part} differs")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
