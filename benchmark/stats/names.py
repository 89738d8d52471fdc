"""What entrants, budgets and large numbers are called in every table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats.rows import references

AXIS_UNITS = {"flops": "FLOP", "device_seconds": "s", "spots": " spots"}


def named(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """A table with one entrant per row, and a new column `name`.

    Args:
        rows: score rows; they say which methods are references.
    """
    reference = references(rows)
    entrants = zip(table["method"], table["unit"], table["budget"], strict=True)
    return table.assign(
        name=[entrant_name(method, unit, budget, reference[method]) for method, unit, budget in entrants]
    )


def entrant_name(method: str, unit: str, budget: float, reference: str = "") -> str:
    """A method that trains is called untrained at budget 0. A reference has its reason beside its name instead."""
    if reference:
        return f"{method} ({reference})"
    return f"{method} (untrained)" if unit != "none" and budget == 0 else method


def budget_label(axis: str, budget: float, unit: str) -> str:
    """A budget as text: "4 TFLOP", or "no training" for a method of the unit "none"."""
    return "no training" if unit == "none" else f"{si(budget)}{AXIS_UNITS[axis]}"


def seen_label(spots: float) -> str:
    """How many spots were seen, as text; "–" where it is NaN."""
    return "–" if np.isnan(spots) else si(spots).strip()


def si(value: float) -> str:
    """Three digits with an SI prefix: 1.2e13 is "12 T", 0.5 is "0.5 "."""
    power = int(np.clip(np.log10(value) // 3, 0, 6)) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {['', 'k', 'M', 'G', 'T', 'P', 'E'][power]}"
