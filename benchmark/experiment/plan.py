"""What a run will cost, before anything runs: arms, FLOPs, steps, bytes and seconds, and where each figure is from.

The model: an arm trains for FLOPs / (FLOP/s of its method on the device). Beside that it takes the seconds that arms
like it took in finished runs, and so do processes, scoring and tables (`benchmark.experiment.earlier`). What was never
measured counts as 0 and is listed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmark.core import registry
from benchmark.core.config import Config, Method
from benchmark.core.contracts import Task, offer
from benchmark.experiment.arms import Arm
from benchmark.experiment.costs import ArmCost, JobCost, Plan
from benchmark.experiment.earlier import ONCE
from benchmark.experiment.facts import NOT_MEASURED, Facts, Figure
from benchmark.tasks.served import FEATURES

if TYPE_CHECKING:
    from benchmark.experiment.devices import Speeds
    from benchmark.experiment.layout import Run


def plan(run: Run, facts: Facts, speeds: Speeds) -> Plan:
    """The plan of a run.

    Raises:
        UnitBenchError: a method or task cannot be made.
    """
    planner = _Planner(run.config, facts, speeds)
    take = planner.take
    starts = [take(f"start of {step}", "", facts.find(f"start {step}")) for step in ("pretrain", "score")]
    jobs = {}
    for job, arms in run.plan().items():
        plugins = dict.fromkeys((run.config.method(label).method, fold) for label, fold in run.jobs[job])
        shared = sum(take("what arms of a fold share", name, facts.find("fold", name)) for name, _ in plugins)
        jobs[job] = JobCost(*starts, shared, tuple(map(planner.arm, arms)))
    once = {step: take("steps that run once", step, facts.find(step)) for step in ONCE}
    return Plan(jobs, once, take("bytes of tables", "", facts.find("tables")), planner.sources, planner.lacking)


def units(config: Config, task: Task, fold: str) -> int:
    """How often the scores of a task are computed for one arm in a fold."""
    repeats = config.splits.repeats if fold == "all" else {"donor": 1}
    n_draws = sum(repeats.get(split, 0) for split in task.splits)
    return n_draws * (len(config.neighbours) if task.requires in FEATURES else 1)


@dataclass
class _Planner:
    """Costs of the arms of a config.

    Attributes:
        sources: where the figures are from, by what they are of.
        lacking: what was not measured.
    """

    config: Config
    facts: Facts
    speeds: Speeds
    sources: dict[str, Counter[str]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    @cached_property
    def _methods(self) -> dict[str, Any]:
        return {entry.label: registry.make("methods", entry.method, entry.options) for entry in self.config.methods}

    @cached_property
    def _tasks(self) -> list[Task]:
        return [registry.make("tasks", entry.task, entry.options) for entry in self.config.tasks]

    def take(self, what: str, of: str, figure: Figure) -> float:
        """The value; 0 where it was not measured."""
        if figure.known:
            self.sources.setdefault(what, Counter())[figure.source] += 1
            return figure.value
        name = f"{what} of {of}" if of else what
        if name not in self.lacking:
            self.lacking.append(name)
        return 0.0

    def arm(self, arm: Arm) -> ArmCost:
        """What an arm takes; nothing if its method cannot be used here."""
        entry, method, trained = self.config.method(arm.method), self._methods[arm.method], arm.amount > 0
        if offer(method, "not_applicable"):
            return ArmCost(arm)
        about, here = (entry.method, entry.canonical), self.facts.machine
        beside = _first(self.facts.find("arm", *about, was) for was in (trained, not trained))
        memory = self.facts.most("memory", *about) if trained else NOT_MEASURED
        return ArmCost(
            arm,
            **(self._training(arm, entry, method) if trained else {}),
            beside=self.take(
                "arms beside their training",
                arm.method,
                beside if beside.known else self.facts.exactly("embed", *about, here),
            ),
            scoring=self._scoring(arm, method),
            n_bytes=self.take("bytes of arms", arm.method, self._bytes(*about, trained)),
            memory=memory.value if memory.known else 0.0,
        )

    def _bytes(self, name: str, options: str, trained: bool) -> Figure:
        """Of an arm's files: as in finished runs, else its embeddings and weights by a trial."""
        found = _first(self.facts.find("bytes", name, options, was) for was in (trained, not trained))
        vectors, weights = (self.facts.exactly(what, name, options, None) for what in ("vectors", "weights"))
        if found.known or not vectors.known:
            return found
        return Figure(vectors.value + trained * weights.value, vectors.source)

    def _scoring(self, arm: Arm, method: Any) -> float:
        """Seconds to score an arm on the tasks that it serves."""
        served = [task for task in self._tasks if offer(method, task.requires)]
        if not (n_units := sum(units(self.config, task, arm.fold) for task in served)):
            return 0.0
        kind, of = ("unit within", "splits within slides") if arm.fold == "all" else ("unit donor", "")
        return n_units * self.take("scoring", of, self.facts.find(kind))

    def _training(self, arm: Arm, entry: Method, method: Any) -> dict[str, float]:
        """FLOPs, steps, spots and seconds of a training, and the share of the budget that its whole steps spend."""
        axis, about = self.config.budget.axis, (entry.method, entry.canonical)
        flops, spots = (self.facts.exactly(f"step {what}", *about, None) for what in ("FLOPs", "spots"))
        rate = self.take("FLOP/s of training", arm.method, self.speeds.of(entry, method)) or math.nan
        self.take("steps", arm.method, flops)
        price = {"flops": flops.value, "spots": spots.value, "device_seconds": flops.value / rate}[axis]
        if math.isnan(price):  # what the budget itself tells
            told = {"flops": {"flops": arm.amount, "training": arm.amount / rate}, "spots": {"spots": arm.amount}}
            return _known(told.get(axis, {"training": arm.amount}))
        n = math.floor(arm.amount / price + 0.5)  # as `Meter.has_room` stops
        taken = {"flops": n * flops.value, "spots": n * spots.value, "training": n * flops.value / rate}
        return _known(taken) | {"steps": n, "fraction": n * price / arm.amount}


def _first(figures: Iterable[Figure]) -> Figure:
    return next((figure for figure in figures if figure.known), NOT_MEASURED)


def _known(values: dict[str, float]) -> dict[str, float]:
    """Those that are no NaN."""
    return {name: value for name, value in values.items() if not math.isnan(value)}
