"""How many methods a job holds where the config leaves it open: as many as make jobs of 5 to 30 minutes by plan."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.experiment.costs import Plan
from benchmark.experiment.devices import Speeds
from benchmark.experiment.layout import with_size
from benchmark.experiment.plan import plan
from benchmark.experiment.trial import measured

if TYPE_CHECKING:
    from benchmark.experiment.facts import Facts
    from benchmark.experiment.layout import Run

LEAST, MOST = 300.0, 1800.0  # seconds that a job fits


def packed(run: Run, facts: Facts | None = None) -> Run:
    """The run with a number of methods a job: that of its config, or of the run in its folder, or by the plan.

    By the plan the median job fits for at least 5 minutes, or holds all methods of its fold; none fits for over 30
    minutes, unless one method does. 1 where the time of a method was not measured. Once it was chosen, the
    jobs of a folder keep their names.

    Args:
        facts: what was measured; None: it is read, and nothing is tried.
    """
    if run.config.methods_per_job or run.begun:
        return with_size(run, run.size)
    facts = facts or measured(run)
    single = replace(run, config=run.config.model_copy(update={"methods_per_job": 1, "folds_per_job": 1}))
    costs = plan(single, facts, Speeds(facts))
    if any(what.startswith(("FLOP/s", "arms beside")) for what in costs.lacking):
        return with_size(run, 1)
    n_methods = len(run.config.methods)
    for size in range(1, n_methods + 1):
        seconds = [run.config.folds_per_job * fit for fit in _jobs(single, costs, size)]
        if max(seconds) > MOST and size > 1:
            return with_size(run, size - 1)
        if statistics.median(seconds) >= LEAST:
            return with_size(run, size)
    return with_size(run, n_methods)


def _jobs(single: Run, costs: Plan, size: int) -> Iterator[float]:
    """Seconds that each job fits, of so many methods; `costs` is the plan of jobs of one method each."""
    places: dict[tuple[str, str], list[str]] = {}
    for job, ((_, fold),) in single.jobs.items():
        places.setdefault((fold, job.partition("@")[2]), []).append(job)
    for names in places.values():
        for first in range(0, len(names), size):
            jobs = {name: costs.jobs[name] for name in names[first : first + size]}
            shared = {_plugin(single, name): job.shared for name, job in jobs.items()}
            fits = sum(cost.training + cost.beside for job in jobs.values() for cost in job.arms)
            yield costs.jobs[names[0]].start_fit + sum(shared.values()) + fits


def _plugin(single: Run, job: str) -> str:
    ((label, _),) = single.jobs[job]
    return single.config.method(label).method
