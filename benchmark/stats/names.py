"""What entrants, budgets and large numbers are called in every table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats.rows import ENTRANT, Entrant, references

SELF_REPORTED = "cost self-reported"
AXIS_UNITS = {"flops": "FLOP", "device_seconds": "s", "spots": " spots"}


def named(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """A table with one entrant per row, and a new column `name`.

    Args:
        rows: score rows; they say which methods are references, and which counted their own cost.
    """
    reference, by_itself = references(rows), self_reported(rows)
    entrants = [Entrant(*key) for key in table[ENTRANT].itertuples(index=False, name=None)]
    return table.assign(name=[entrant_name(key, reference[key.method], key in by_itself) for key in entrants])


def self_reported(rows: pd.DataFrame) -> set[tuple]:
    """The entrants that counted their own cost, as (method, unit, budget_axis, budget)."""
    return set(rows.loc[rows["self_reported"].eq(True), ENTRANT].itertuples(index=False, name=None))


def entrant_name(entrant: Entrant, reference: str = "", self_reported: bool = False) -> str:
    """A method with what to know of it. One that trains is called untrained at budget 0, unless it is a reference."""
    untrained = "untrained" if entrant.unit != "none" and entrant.budget == 0 else ""
    known = ", ".join(filter(None, [reference or untrained, SELF_REPORTED if self_reported else ""]))
    return f"{entrant.method} ({known})" if known else entrant.method


def budget_label(axis: str, budget: float, unit: str) -> str:
    """A budget as text: "4 TFLOP", or "no budget" for the unit "none": PCA, or a peer that trains as it likes."""
    return "no budget" if unit == "none" else f"{si(budget)}{AXIS_UNITS[axis]}"


def seen_label(spots: float) -> str:
    """How many spots were seen, as text; "–" where it is NaN."""
    return "–" if np.isnan(spots) else si(spots).strip()


def si(value: float) -> str:
    """Three digits with an SI prefix: 1.2e13 is "12 T", 0.5 is "0.5 "."""
    power = int(np.clip(np.log10(value) // 3, 0, 6)) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {['', 'k', 'M', 'G', 'T', 'P', 'E'][power]}"
