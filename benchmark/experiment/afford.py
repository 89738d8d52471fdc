"""Budgets that fit a number of hours: those of a config, all larger or smaller by one factor."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.core.errors import UnitBenchError
from benchmark.experiment.costs import Plan
from benchmark.experiment.plan import plan
from benchmark.experiment.schedule import seconds_of

if TYPE_CHECKING:
    from benchmark.experiment.devices import Speeds
    from benchmark.experiment.facts import Facts
    from benchmark.experiment.layout import Run

DIGITS = 2  # of a proposed amount
HALVINGS = 40  # of the range of factors
RANGE = 1e6  # the budgets are made larger or smaller by at most this factor


def afford(run: Run, facts: Facts, speeds: Speeds, hours: float, workers: int) -> tuple[Run, Plan]:
    """The run with the largest budgets, in the proportion of its own, that `workers` do in so many hours; and its plan.

    Raises:
        UnitBenchError: no such number of hours, no arm trains, a speed is not known, the fixed costs alone take longer,
            or an arm would miss its budget.
    """
    if not 0 < hours < math.inf:
        raise UnitBenchError(f"--fit {hours:g}", "no number of hours", "give one above 0, such as 8")
    if not any(run.config.budget.amounts):
        raise UnitBenchError(run.path, "no arm trains: every budget is 0", "give an amount under `budget.amounts`")
    first = plan(run, facts, speeds)
    if slow := [what for what in first.lacking if what.startswith("FLOP/s")]:
        remedy = "run `unitbench prepare` first, so that it can be tried here, or leave --device out"
        raise UnitBenchError("--fit", f"{slow[0]} was not measured", remedy)

    def takes(factor: float) -> float:
        return seconds_of(plan(scaled(run, factor), facts, speeds), workers)

    low, high = math.log(1 / RANGE), math.log(RANGE)
    if takes(math.exp(low)) > hours * 3600:
        cause = f"all but the training takes {takes(math.exp(low)) / 3600:.3g} h with {workers} workers"
        raise UnitBenchError(f"--fit {hours:g}", cause, "give more hours or workers, or leave seeds or methods out")
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if takes(math.exp(middle)) <= hours * 3600 else (low, middle)
    found = scaled(run, math.exp(low))
    costs = plan(found, facts, speeds)
    if missing := [cost for cost in costs.arms if cost.misses]:
        cause = f"with budgets that fit, {missing[0].arm.name} would miss its own: one step is too large for it"
        raise UnitBenchError(f"--fit {hours:g}", cause, "give more hours or workers, or leave seeds or methods out")
    return found, costs


def scaled(run: Run, factor: float) -> Run:
    """The run with all budgets times a factor, rounded down to `DIGITS` digits."""
    amounts = tuple(_rounded(amount * factor) for amount in run.config.budget.amounts)
    budget = run.config.budget.model_copy(update={"amounts": amounts})
    return replace(run, config=run.config.model_copy(update={"budget": budget}))


def _rounded(amount: float) -> float:
    if amount == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(amount)) - DIGITS + 1)
    return float(f"{math.floor(amount / unit + 1e-9) * unit:.{DIGITS - 1}e}")
