"""How fast methods train on a device: on this machine, or on another one that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from benchmark.core.config import Method
from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.experiment.facts import NOT_MEASURED, Facts, Figure

TABLE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Speeds:
    """FLOP/s of training on `device`, a part of its name in any case; None: on this machine.

    Raises:
        UnitBenchError: no speed was measured on such a device.
    """

    facts: Facts
    device: str | None = None

    def __post_init__(self) -> None:
        if not self.names:
            known = {row["device"] for row in self._table} | self.facts.machines
            raise UnitBenchError(
                f"--device {self.device!r}", "no speed was measured on it", nearest(str(self.device), known)
            )

    @cached_property
    def _table(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
        return rows

    @cached_property
    def names(self) -> list[str]:
        """The devices that are meant: one, of which a table and a trial may write the name in two ways."""
        if self.device is None:
            return [self.facts.machine]
        known = {row["device"] for row in self._table} | self.facts.machines
        return sorted(name for name in known if self.device.lower() in name.lower())

    def of(self, entry: Method, method: Any) -> Figure:
        """The FLOP/s of a method: as measured in a trial or a run with these options, else as in the table; for this
        machine also in runs with other options."""
        for name in self.names:
            if (found := self.facts.exactly("FLOP/s", entry.method, entry.canonical, name)).known:
                return found
        for row in self._table:
            alike = all(offer(method, option) == value for option, value in row["options"].items())
            if row["device"] in self.names and row["method"] == entry.method and alike:
                return Figure(float(row["flop_per_second"]), f"{row['device']}, {row['source']}")
        return NOT_MEASURED if self.device else self.facts.find("FLOP/s", entry.method, entry.canonical, True)
