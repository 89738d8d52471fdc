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
from typing import TYPE_CHECKING, Any

from benchmark.core import registry
from benchmark.core.config import Config, Method
from benchmark.core.contracts import Task, offer
from benchmark.experiment.arms import Arm
from benchmark.experiment.earlier import ONCE
from benchmark.experiment.facts import NOT_MEASURED, Facts, Figure
from benchmark.tasks.served import FEATURES
from benchmark.training.budget import TOLERANCE

if TYPE_CHECKING:
    from benchmark.experiment.devices import Speeds
    from benchmark.experiment.layout import Run


@dataclass(frozen=True)
class ArmCost:
    """What one arm will take.

    Attributes:
        flops, steps, spots: of its training.
        training, beside, scoring: seconds: of its training, of all else in its fit, and of its scores.
        n_bytes: of its files.
        memory: bytes of its process at the peak; 0 where it was not measured.
        fraction: what it will have spent of its budget.
    """

    arm: Arm
    flops: float = 0.0
    steps: float = 0.0
    spots: float = 0.0
    training: float = 0.0
    beside: float = 0.0
    scoring: float = 0.0
    n_bytes: float = 0.0
    memory: float = 0.0
    fraction: float = 1.0

    @property
    def misses(self) -> bool:
        """Whether it will end too far from its budget, and so fail."""
        return abs(self.fraction - 1) > TOLERANCE


@dataclass(frozen=True)
class JobCost:
    """A job: seconds to start its two processes, seconds that its arms share, and its arms."""

    start_fit: float
    start_score: float
    shared: float
    arms: tuple[ArmCost, ...]

    @property
    def fit(self) -> float:
        """Seconds of `pretrain`."""
        return self.start_fit + self.shared + sum(cost.training + cost.beside for cost in self.arms)

    @property
    def score(self) -> float:
        """Seconds of `score`."""
        return self.start_score + sum(cost.scoring for cost in self.arms)


@dataclass(frozen=True)
class Plan:
    """The whole run.

    Attributes:
        once: seconds of each step that runs once.
        tables: bytes of tables and pages.
        sources: where the figures are from, by what they are of.
        lacking: what was not measured, and counts as 0.
    """

    jobs: dict[str, JobCost]
    once: dict[str, float]
    tables: float
    sources: dict[str, Counter[str]]
    lacking: list[str]

    @property
    def arms(self) -> list[ArmCost]:
        return [cost for job in self.jobs.values() for cost in job.arms]

    @property
    def core_seconds(self) -> float:
        """Of all processes."""
        return sum(self.once.values()) + sum(job.fit + job.score for job in self.jobs.values())

    @property
    def device_seconds(self) -> float:
        """How long `pretrain` holds the device, over all jobs."""
        return sum(job.fit for job in self.jobs.values())


@dataclass
class _Notes:
    """Where figures are from, and what is lacking."""

    sources: dict[str, Counter[str]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    def take(self, what: str, of: str, figure: Figure) -> float:
        """The value; 0 where it was not measured."""
        if figure.known:
            self.sources.setdefault(what, Counter())[figure.source] += 1
            return figure.value
        name = f"{what} of {of}" if of else what
        if name not in self.lacking:
            self.lacking.append(name)
        return 0.0


def plan(run: Run, facts: Facts, speeds: Speeds) -> Plan:
    """The plan of a run.

    Raises:
        UnitBenchError: a method or task cannot be made.
    """
    config, notes = run.config, _Notes()
    tasks = [registry.make("tasks", entry.task, entry.options) for entry in config.tasks]
    made = {entry.label: registry.make("methods", entry.method, entry.options) for entry in config.methods}
    start = {step: notes.take(f"start of {step}", "", facts.find(f"start {step}")) for step in ("pretrain", "score")}
    jobs = {}
    for job, arms in run.plan().items():
        plugins = dict.fromkeys(config.method(label).method for label, _ in run.jobs[job])
        shared = sum(notes.take("what arms of a fold share", name, facts.find("fold", name)) for name in plugins)
        costs = tuple(_arm(config, arm, made[arm.method], tasks, facts, speeds, notes) for arm in arms)
        jobs[job] = JobCost(start["pretrain"], start["score"], shared, costs)
    once = {step: notes.take("steps that run once", step, facts.find(step)) for step in ONCE}
    tables = notes.take("bytes of tables", "", facts.find("tables"))
    return Plan(jobs, once, tables, notes.sources, notes.lacking)


def _arm(
    config: Config, arm: Arm, method: Any, tasks: Iterable[Task], facts: Facts, speeds: Speeds, notes: _Notes
) -> ArmCost:
    entry, trained = config.method(arm.method), arm.amount > 0
    name, options = entry.method, entry.canonical
    training = _training(config.budget.axis, arm, entry, speeds.of(entry, method), facts, notes) if trained else {}
    beside = _first(facts.find("arm", name, options, was) for was in (trained, not trained))
    if not beside.known:
        beside = facts.exactly("embed", name, options, facts.machine)
    n_bytes = _first(facts.find("bytes", name, options, was) for was in (trained, not trained))
    if not n_bytes.known:
        vectors, weights = (facts.exactly(what, name, options, None) for what in ("vectors", "weights"))
        n_bytes = Figure(vectors.value + trained * weights.value, vectors.source) if vectors.known else NOT_MEASURED
    memory = facts.exactly("memory", name, options, facts.machine) if trained else NOT_MEASURED
    return ArmCost(
        arm,
        **training,
        beside=notes.take("arms beside their training", arm.method, beside),
        scoring=_scoring(config, arm, [task for task in tasks if offer(method, task.requires)], facts, notes),
        n_bytes=notes.take("bytes of arms", arm.method, n_bytes),
        memory=memory.value if memory.known else 0.0,
    )


def _first(figures: Iterable[Figure]) -> Figure:
    return next((figure for figure in figures if figure.known), NOT_MEASURED)


def _scoring(config: Config, arm: Arm, tasks: Iterable[Task], facts: Facts, notes: _Notes) -> float:
    """Seconds to score an arm on the tasks that it serves."""
    if not (n_units := sum(units(config, task, arm.fold) for task in tasks)):
        return 0.0
    kind, of = ("unit within", "splits within slides") if arm.fold == "all" else ("unit donor", "")
    return n_units * notes.take("scoring", of, facts.find(kind))


def units(config: Config, task: Task, fold: str) -> int:
    """How often the scores of a task are computed for one arm in a fold."""
    repeats = config.splits.repeats if fold == "all" else {"donor": 1}
    return sum(repeats.get(split, 0) for split in task.splits) * (
        len(config.neighbours) if task.requires in FEATURES else 1
    )


def _training(axis: str, arm: Arm, entry: Method, speed: Figure, facts: Facts, notes: _Notes) -> dict[str, float]:
    """FLOPs, steps, spots and seconds of a training, and the share of the budget that its whole steps spend."""
    name, options, amount = entry.method, entry.canonical, arm.amount
    flops, spots = (facts.exactly(f"step {what}", name, options, None) for what in ("FLOPs", "spots"))
    rate = notes.take("FLOP/s of training", arm.method, speed)
    if not flops.known:
        notes.take("steps", arm.method, flops)
        known = {"flops": amount} if axis == "flops" else {"training": amount} if axis == "device_seconds" else {}
        return known | ({"training": amount / rate} if axis == "flops" and rate else {})
    seconds = flops.value / rate if rate else math.nan
    step = {"flops": flops.value, "spots": spots.value, "device_seconds": seconds}[axis]
    if math.isnan(step):
        return {"training": amount}
    n = math.floor(amount / step + 0.5)  # as `Meter.has_room` stops
    notes.take("steps", arm.method, flops)
    return {
        "flops": n * flops.value,
        "steps": n,
        "spots": n * spots.value,
        "training": n * seconds if rate else 0.0,
        "fraction": n * step / amount,
    }
