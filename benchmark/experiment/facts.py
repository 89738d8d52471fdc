"""What was measured before: one figure a fact, with where it is from. The nearest facts answer a question of a plan."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Fact:
    """One measured figure.

    Attributes:
        what: "FLOP/s", "arm", …: see `benchmark.experiment.earlier` and `benchmark.experiment.trial`.
        value: FLOPs, spots, seconds or bytes, as `what` says.
        source: where it is from, for the reader of a plan.
        machine: the name of the GPU, or else of the processor.
        method, options, trained: the plugin, its options as `Method.canonical` has them, and whether it had a budget;
            "" and None where the figure is of no method.
        dataset, spots: of the run. Where `spots` is told, the figure grows with the spots.
        rank: of two facts that are equally near, that of the higher rank counts.
    """

    what: str
    value: float
    source: str
    machine: str = ""
    method: str = ""
    options: str = ""
    trained: bool | None = None
    dataset: str = ""
    spots: int = 0
    rank: int = 0


class Figure(NamedTuple):
    """A figure and where it is from; NaN and "" where nothing was measured."""

    value: float
    source: str

    @property
    def known(self) -> bool:
        return not math.isnan(self.value)


NOT_MEASURED = Figure(math.nan, "")


class Facts:
    """All that was measured, as it bears on a run on `machine`, of so many `spots` of a `dataset`."""

    def __init__(self, facts: Iterable[Fact], machine: str, dataset: str = "", spots: int = 0):
        self.machine, self.dataset, self.spots = machine, dataset, spots
        self._by_what: dict[tuple[str, str, bool | None], list[Fact]] = {}
        for fact in facts:
            self._by_what.setdefault((fact.what, fact.method, fact.trained), []).append(fact)

    def find(self, what: str, method: str = "", options: str = "", trained: bool | None = None) -> Figure:
        """The median of the nearest facts: of this machine, then of these options, this dataset, a higher rank."""
        found = self._by_what.get((what, method, trained), [])
        if not found:
            return NOT_MEASURED

        def nearness(fact: Fact) -> tuple[bool, bool, bool, int]:
            return fact.machine == self.machine, fact.options == options, fact.dataset == self.dataset, fact.rank

        best = max(map(nearness, found))
        nearest = [fact for fact in found if nearness(fact) == best]
        here, alike, same, _ = best
        notes = [] if here else [f"measured on {nearest[0].machine}"]
        notes += [] if alike else ["with other options"]
        notes += [] if same or not nearest[0].spots else [f"on {nearest[0].dataset}, in proportion to the spots"]
        source = ", ".join(dict.fromkeys(fact.source for fact in nearest)) + "".join(f"; {note}" for note in notes)
        return Figure(statistics.median(fact.value * self._times(fact) for fact in nearest), source)

    def exactly(self, what: str, method: str, options: str, machine: str | None) -> Figure:
        """The median of the facts of these very options on a machine, of those of the highest rank.

        Args:
            machine: None: any, for what does not depend on it.
        """
        found = [
            fact
            for fact in self._by_what.get((what, method, True), [])
            if fact.options == options and machine in (None, fact.machine)
        ]
        best = [fact for fact in found if fact.rank == max(fact.rank for fact in found)]
        if not best:
            return NOT_MEASURED
        source = ", ".join(dict.fromkeys(fact.source for fact in best))
        return Figure(statistics.median(fact.value * self._times(fact) for fact in best), source)

    def most(self, what: str, method: str, options: str) -> Figure:
        """The greatest of the facts of these very options on this machine, by a trial or a run on this dataset."""
        found = [
            fact
            for fact in self._by_what.get((what, method, True), [])
            if (fact.options, fact.machine) == (options, self.machine) and fact.dataset in ("", self.dataset)
        ]
        greatest = max(found, key=lambda fact: fact.value, default=None)
        return Figure(greatest.value, greatest.source) if greatest else NOT_MEASURED

    @property
    def machines(self) -> set[str]:
        """The machines that some method's speed was measured on."""
        return {fact.machine for (what, _, _), facts in self._by_what.items() if what == "FLOP/s" for fact in facts}

    def _times(self, fact: Fact) -> float:
        return self.spots / fact.spots if fact.spots and self.spots else 1.0
