"""What the units learned: an answer, sentences, and the table of R² beside predictors that have learned nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmark.report import words
from benchmark.report.answers import NOT_SHOWN, Answer, amount, signed
from benchmark.report.tables import entrant, with_interval
from benchmark.stats.learned import LEARNED, NOT_LEARNED
from benchmark.stats.names import named
from benchmark.stats.scaling import Law

PREDICTORS = {
    "own": "the spot itself",
    "neighbour_mean": "the mean of the neighbours",
    "kriging": "kriging",
    "zero": "0",
}


def answer(told: pd.DataFrame) -> Answer:
    """How many of the trained units have learned, each at its largest budget.

    Args:
        told: trained entrants of `learned.learned`.
    """
    last = told[told["budget"] == told.groupby(["method", "budget_axis"])["budget"].transform("max")]
    did, did_not = (last[last["verdict"] == verdict] for verdict in (LEARNED, NOT_LEARNED))
    parts = [f"{_all(did)} learned more than any untaught predictor tells"] if len(did) else []
    parts += [f"{_all(did_not)} did not learn"] if len(did_not) else []
    text = f"Each at its largest budget, by R² on held-out donors: {'; '.join(parts)}."
    return Answer(f"{len(did)} of {len(last)}" if len(did) else NOT_SHOWN, text)


def _all(told: pd.DataFrame) -> str:
    """The methods, each with what R² it has over the best untaught predictor."""
    return ", ".join(f"{row['method']} ({signed(row)})" for row in _as_gains(told))


def _as_gains(told: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows whose `low` and `high` are those of the difference."""
    ends = told.assign(low=told["difference_low"], high=told["difference_high"])
    return [row.to_dict() for _, row in ends.iterrows()]


def no_part(told: pd.DataFrame) -> str:
    """A sentence with a blank before it, of who takes no part since it did not learn; empty if all did.

    Args:
        told: `learned.learned`.
    """
    out = told[told["verdict"] == NOT_LEARNED]
    lines = [
        f"{method} did not learn at {' or '.join(amount(*key) for key in budgets)}"
        for method, rows in out.groupby("method")
        for budgets in [sorted(rows[["budget_axis", "budget"]].itertuples(index=False, name=None))]
    ]
    return f" {'; '.join(lines)}: no part taken there." if lines else ""


def said(told: pd.DataFrame) -> dict[tuple, str]:
    """(method, axis, budget) → what an entrant that did not learn has, in words."""
    return {
        (row["method"], row["budget_axis"], row["budget"]): f"R² {row['value']:.2f}, {_predictor(row)}"
        for _, row in told[told["verdict"] == NOT_LEARNED].iterrows()
    }


def _predictor(row: pd.Series) -> str:
    """The best untaught predictor, with its R²."""
    return f"{PREDICTORS.get(row['untaught'], row['untaught'])}: {row['untaught_value']:.2f}"


def table(told: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One line per entrant that tells its R², methods by name and the smallest budget first.

    Args:
        rows: score rows; they say how entrants are named.
    """
    order = {method: number for number, method in enumerate(words.in_order(told["method"], ()))}
    told = named(told, rows).sort_values("budget").sort_values("method", key=lambda m: m.map(order), kind="stable")
    return [
        entrant(row)
        | {"r2": with_interval(row), "best": PREDICTORS.get(row["untaught"], row["untaught"])}
        | {"best_r2": row["untaught_value"], "gain": gain(row), "verdict": row["verdict"]}
        | {"donors": row["n_donors"], "seeds": row["n_seeds"]}
        for _, row in told.iterrows()
    ]


def gain(row: pd.Series) -> dict[str, Any]:
    """The difference to the best untaught predictor with its interval."""
    low, high = row["difference_low"], row["difference_high"]
    return {"value": row["difference"], "span": "" if np.isnan(low) else f"[{low:+.3f}, {high:+.3f}]"}


def growth(told: pd.DataFrame, laws: dict[str, Law], slopes: dict[str, Law]) -> list[dict[str, Any]]:
    """One line per trained method that tells its R²: the exponent of its law, and the slope of its score.

    Args:
        laws, slopes: see `benchmark.stats.scaling`.
    """
    methods = words.in_order(told.loc[told["budget"] > 0, "method"], ())
    return [
        {"method": method, "exponent": _slope(laws.get(method)), "score": _slope(slopes.get(method))}
        for method in methods
    ]


def _slope(law: Law | None) -> dict[str, Any]:
    """A slope with its interval, and how many FLOPs it is over; a value of None where there are too few."""
    if law is None or np.isnan(law.slope):
        return {"value": None, "span": "", "n": law.n_flops if law else 0}
    span = "" if np.isnan(law.low) else f"[{law.low:+.3f}, {law.high:+.3f}]"
    return {"value": law.slope, "span": span, "n": law.n_flops}
