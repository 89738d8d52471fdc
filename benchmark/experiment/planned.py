"""A plan as lines for a reader: what the run has, what it takes, what will not work, and where the figures are from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import psutil

from benchmark.core.errors import UnitBenchError
from benchmark.data.corpus import Corpus, open_corpus
from benchmark.experiment.afford import afford
from benchmark.experiment.costs import Plan
from benchmark.experiment.devices import Speeds
from benchmark.experiment.packing import packed
from benchmark.experiment.plan import plan
from benchmark.experiment.schedule import seconds_of
from benchmark.experiment.trial import measured

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.experiment.layout import Run

SHOWN = 5  # arms or slides of one kind
PRICE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(EUR|USD|€|\$)\s*")


@dataclass(frozen=True)
class Prices:
    """What a device costs.

    Attributes:
        hour: of one device for an hour, such as "2.50 EUR"; "" where nobody asks.
        watts: that it draws; 0 where nobody asks.
        kwh: of a kilowatt-hour.
    """

    hour: str = ""
    watts: float = 0.0
    kwh: str = ""

    def check(self) -> None:
        """Raises UnitBenchError: a price or a power is none."""
        list(self.lines(0.0))

    def lines(self, device_hours: float) -> Iterator[str]:
        """What so many device-hours cost."""
        if self.hour:
            amount, currency = _price("--price", self.hour)
            yield f"device for {device_hours:.3g} h: {device_hours * amount:,.2f} {currency}"
        if not 0 <= self.watts < math.inf:
            raise UnitBenchError(f"--watts {self.watts:g}", "no power of a device", "give watts, such as 300")
        if self.kwh and not self.watts:
            raise UnitBenchError("--kwh-price", "the power of the device is not told", "give --watts too")
        if self.watts:
            kwh = device_hours * self.watts / 1000
            amount, currency = _price("--kwh-price", self.kwh) if self.kwh else (0.0, "")
            yield f"energy at {self.watts:g} W: {kwh:.3g} kWh" + (f", {kwh * amount:,.2f} {currency}" * bool(self.kwh))


def _price(option: str, text: str) -> tuple[float, str]:
    if not (found := PRICE.fullmatch(text)):
        raise UnitBenchError(f"{option} {text!r}", "no price in euros or dollars", "give one such as '2.50 EUR'")
    return float(found[1]), {"€": "EUR", "$": "USD"}.get(found[2], found[2])


def show(run: Run, device: str | None, workers: int, hours: float | None, prices: Prices, console: Console) -> None:
    """Print the plan of a run, or with `hours` budgets that fit so many and their plan."""
    prices.check()
    say = partial(console.print, markup=False, highlight=False)
    facts = measured(run, say)
    speeds, run = Speeds(facts, device), packed(run, facts)
    if hours is None:
        costs = plan(run, facts, speeds)
    else:
        run, costs = afford(run, facts, speeds, hours, workers)
        amounts = ", ".join(f"{amount:g}" for amount in run.config.budget.amounts)
        say(f"budgets that fit {hours:g} h:  amounts: [{amounts}]")
    for line in lines(run, costs, speeds.names[0], workers, prices):
        say(line)
    if device:
        say(f"all seconds but those of training are those of {facts.machine}")


def lines(run: Run, costs: Plan, device: str, workers: int, prices: Prices) -> Iterator[str]:
    """All lines of a plan.

    Args:
        device: the name of the one that the plan is for.
    """
    arms, corpus = costs.arms, open_corpus(run.corpus) if run.record.exists() else None
    trained = [cost for cost in arms if cost.arm.amount > 0]
    yield f"{run.path} on {device}"
    yield f"arms: {len(arms):,}, of which {len(trained):,} spend a budget"
    yield f"jobs: {len(costs.jobs):,}, with at most {run.size} methods each"
    total = {name: sum(getattr(cost, name) for cost in arms) for name in ("flops", "steps", "spots", "n_bytes")}
    yield f"training: {total['flops']:.3g} FLOPs, {total['steps']:,.0f} steps, {total['spots']:.3g} spots seen"
    yield from _disk_and_memory(run, costs, total["n_bytes"])
    yield from _time(costs, workers, prices)
    yield from _faults(costs, corpus, workers, run.config.limits.memory_gb)
    yield "where the figures are from:"
    for what, found in costs.sources.items():
        yield f"  {what}: " + " | ".join(source for source, _ in found.most_common(SHOWN))
    if costs.lacking:
        yield "not measured, counted as 0:"
        yield from _some(costs.lacking)
    if corpus is None:
        prepare = f"unitbench prepare {run.arguments}"
        yield f"no corpus yet: sizes of slides, and the speed of methods here, are not known. First: {prepare}"


def _disk_and_memory(run: Run, costs: Plan, of_arms: float) -> Iterator[str]:
    of_corpus = sum(path.stat().st_size for path in run.corpus.rglob("*") if path.is_file())
    parts = {"arms": of_arms, "corpus": of_corpus, "tables and pages": costs.tables}
    yield f"disk: {size(sum(parts.values()))} (" + ", ".join(f"{name} {size(n)}" for name, n in parts.items()) + ")"
    most = max(costs.arms, key=lambda cost: cost.memory)
    if most.memory:
        yield f"peak memory of a process that trains: {size(most.memory)} ({most.arm.method})"


def _time(costs: Plan, workers: int, prices: Prices) -> Iterator[str]:
    parts = {
        "training": sum(cost.training for cost in costs.arms),
        "fits beside it": sum(cost.beside for cost in costs.arms) + sum(job.shared for job in costs.jobs.values()),
        "scoring": sum(cost.scoring for cost in costs.arms),
        "start-up": sum(job.start_fit + job.start_score for job in costs.jobs.values()),
        "corpus, tables and pages": sum(costs.once.values()),
    }
    words = ", ".join(f"{name} {clock(seconds)}" for name, seconds in parts.items())
    least = "at least " * bool(costs.lacking)
    yield f"core time: {least}{clock(costs.core_seconds)}, {costs.core_seconds:.0f} s ({words})"
    longest = clock(seconds_of(costs, None))
    takes = clock(seconds_of(costs, workers))
    yield f"on {workers} worker{'s' * (workers > 1)}: {least}{takes}; longest chain: {longest}"
    hours = costs.device_seconds / 3600
    yield f"device-hours: {hours:.3g}, as long as processes hold the device"
    yield from prices.lines(hours)


def _faults(costs: Plan, corpus: Corpus | None, workers: int, limit: float | None) -> Iterator[str]:
    """What will not work: arms that miss their budget, and slides that do not fit the memory."""
    if missing := [cost for cost in costs.arms if cost.misses]:
        yield f"{len(missing):,} arms will fail, since one step is too large for their budget (2% is allowed):"
        yield from _some([f"{cost.arm.name} ends at {cost.fraction:.1%} of it" for cost in missing])
    if corpus is not None:
        memory = limit * 1e9 if limit else psutil.virtual_memory().total / workers
        if large := large_slides(corpus, memory):
            yield f"{len(large):,} slides may not fit the {size(memory)} of a process, where a method needs all genes:"
            yield from _some([f"{slide} takes {size(n)}" for slide, n in large.items()])


def large_slides(corpus: Corpus, memory: float) -> dict[str, float]:
    """The slides that need more bytes than `memory`: two matrices of all spots and measured genes in float32, what a
    method reads and what it predicts."""
    slides = corpus.record["slides"]
    need = {name: 2 * 4.0 * slides[name]["n_spots"] * int(corpus.measured(name).sum()) for name in corpus.names}
    return {name: n for name, n in need.items() if n > memory}


def _some(found: list[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in found[:SHOWN])
    if more := len(found) - SHOWN:
        yield from [f"  and {more:,} more"] * (more > 0)


def size(n_bytes: float) -> str:
    """Bytes as people read them, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def clock(seconds: float) -> str:
    """Seconds as people read them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
