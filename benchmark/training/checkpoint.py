"""The checkpoint of a training: weights, optimiser and meter, written atomically and read back."""

from __future__ import annotations

import copy
import sys
import time
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from benchmark.core.files import write_atomic
from benchmark.training.budget import Meter
from benchmark.training.group import ALONE, Group
from benchmark.training.sharded import divide_state, divided, whole


class Checkpoint:
    """Keeps the state of these three at `path`; nowhere, if that is None.

    The file is the same for any number of devices. The first process of the group writes it, and all read it.
    """

    def __init__(
        self,
        path: Path | None,
        module: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        meter: Meter,
        group: Group = ALONE,
    ):
        self.path, self.module, self.optimizer, self.meter, self.group = path, module, optimizer, meter, group
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Bring all three to the saved state, if there is one. A damaged file is set aside, and said: they stay new."""
        if self.path is None:
            return
        if self.group.rank == 0 and self.path.exists():
            self._resume(self.path)
        if self.group.tell(self.path.exists()) and self.group.rank > 0:
            self._restore(_read(self.path))

    def _resume(self, path: Path) -> None:
        fresh = copy.deepcopy((self.module.state_dict(), self.optimizer.state_dict()))
        try:
            self._restore(_read(path))
        except Exception as error:  # each part of the file has exceptions of its own
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            self.module.load_state_dict(fresh[0])
            self.optimizer.load_state_dict(fresh[1])
            what = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"
            print(f"{path}: damaged ({what}); set aside as {aside.name}, the arm begins anew", file=sys.stderr)

    def _restore(self, state: dict[str, Any]) -> None:
        """The meter last: it changes only if the others fit."""
        meter = _meter_of(state)
        if meter["seen"].shape != self.meter.seen.shape or meter["axis"] != self.meter.axis:
            raise ValueError("it is of another training")
        self.module.load_state_dict(divided(state["module"], self.module.state_dict()))
        self.optimizer.load_state_dict(state["optimizer"])
        divide_state(self.optimizer)
        vars(self.meter).update(meter | {"devices": self.group.n})

    def save_after(self, seconds: float) -> None:
        """Save the state, if the last time is more than so many seconds ago."""
        if self.path is not None and self.group.tell(time.monotonic() - self._saved > seconds):
            self.save(self.path)
            self._saved = time.monotonic()

    def save(self, path: Path) -> None:
        """Write the state to `path`. No process goes on before it is there."""
        state = whole({"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()})
        state["meter"] = asdict(self.meter) | {"seen": torch.from_numpy(self.meter.seen)}
        if self.group.rank == 0:
            write_atomic(path, lambda temporary: torch.save(state, temporary))
        self.group.wait()


def take_over(path: Path, module: torch.nn.Module, meter: Meter) -> None:
    """Bring a module and its meter to the state at `path`, which other processes have written."""
    state = _read(path)
    module.load_state_dict(state["module"])
    vars(meter).update(_meter_of(state))


def _meter_of(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of the meter."""
    meter = {field.name: state["meter"][field.name] for field in fields(Meter)}
    return meter | {"seen": meter["seen"].numpy()}


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
