"""What the units learned: an answer, sentences, and the table of R² beside predictors that have learned nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmark.report import words
from benchmark.report.answers import NOT_SHOWN, Answer, amount, signed
from benchmark.report.tables import entrant, with_interval
from benchmark.stats.learned import LEARNED, NOT_LEARNED, ZERO
from benchmark.stats.scaling import Law

PREDICTORS = {
    "own": "the spot itself",
    "neighbour_mean": "the mean of the neighbours",
    "kriging": "kriging",
    ZERO: "0",
}
NAMED = 6  # names that a sentence holds; the tables have all


def answer(told: pd.DataFrame) -> Answer:
    """How many of the trained units have learned, each at its largest budget.

    Args:
        told: trained entrants of `learned.learned`.
    """
    last = told[told["budget"] == told.groupby(["method", "budget_axis"])["budget"].transform("max")]
    did, did_not = (last[last["verdict"] == verdict] for verdict in (LEARNED, NOT_LEARNED))
    parts = [f"{_all(did)} learned"] if len(did) else []
    parts += [f"{_all(did_not)} did not learn"] if len(did_not) else []
    text = f"By R² beyond the best untaught predictor, each at its largest budget: {'; '.join(parts)}."
    return Answer(f"{len(did)} of {len(last)}" if len(did) else NOT_SHOWN, text)


def _all(told: pd.DataFrame) -> str:
    """The methods, each with the R² that it has beyond the best untaught predictor. Of many, those that have most."""
    rows = told.assign(low=told["difference_low"], high=told["difference_high"]).set_index("method")
    names = words.in_order(told["method"], ())
    if len(names) > NAMED:
        names = rows["difference"].sort_values(ascending=False, kind="stable").index
    return _and([f"{method} ({signed(rows.loc[method])})" for method in names])


def no_part(told: pd.DataFrame) -> str:
    """A sentence with a blank before it, of who takes no part since it did not learn; empty if all did.

    Args:
        told: `learned.learned`.
    """
    out = told[told["verdict"] == NOT_LEARNED].sort_values("budget")
    by_budgets: dict[str, list[str]] = {}
    for method in words.in_order(out["method"], ()):
        rows = out.loc[out["method"] == method, ["budget_axis", "budget"]]
        at = " or ".join(amount(*key) for key in rows.itertuples(index=False, name=None))
        by_budgets.setdefault(at, []).append(method)
    lines = [f"{_and(methods)} did not learn at {at} and took no part" for at, methods in by_budgets.items()]
    return f" {'; '.join(lines)}." if lines else ""


def _and(names: list[str]) -> str:
    """The names as a list in words; of many, the first few and the number of the others."""
    if len(names) > NAMED:
        names = [*names[: NAMED - 1], f"{len(names) - NAMED + 1} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def said(told: pd.DataFrame) -> dict[tuple, str]:
    """(method, axis, budget) → what an entrant that did not learn has, in words."""
    return {
        (row["method"], row["budget_axis"], row["budget"]): f"R² {_number(row['value'])}, {_predictor(row)}"
        for _, row in told[told["verdict"] == NOT_LEARNED].iterrows()
    }


def _predictor(row: pd.Series) -> str:
    """The best untaught predictor, with its R²."""
    name = PREDICTORS.get(row["untaught"], row["untaught"])
    return name if row["untaught"] == ZERO else f"{name} {_number(row['untaught_value'])}"


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def table(told: pd.DataFrame) -> list[dict[str, Any]]:
    """One line per entrant that tells its R², methods by name and the smallest budget first."""
    order = {method: number for number, method in enumerate(words.in_order(told["method"], ()))}
    told = told.sort_values("budget").sort_values("method", key=lambda m: m.map(order), kind="stable")
    return [
        entrant(pd.Series({**row, "name": row["method"]}))
        | {"r2": with_interval(row), "best": _predictor(row), "gain": gain(row), "verdict": row["verdict"]}
        | {"over": f"{row['n_donors']} × {row['n_seeds']}"}
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
