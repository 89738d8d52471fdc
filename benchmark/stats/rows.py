"""Score rows as the tables below read them: arms, measured scores, means over slides, rivals."""

from __future__ import annotations

import pandas as pd

from benchmark.stats.contests import CONTEST

ENTRANT = ["method", "unit", "budget_axis", "budget"]
CELL = ["block", "seed"]


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One row an arm (method × budget × fold × seed), with its status and reason."""
    return rows[(rows["task"] == "arm") & (rows["metric"] == "status")]


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """The measured scores in a fixed order, with `block`: the donor, or the repeat where the spots were pooled."""
    kept = rows[(rows["status"] == "ok") & ~rows["task"].isin(["arm", "cost"])]
    kept = kept.assign(block=kept["donor"].where(kept["donor"] != "pooled", kept["fold"]))
    return kept.sort_values([*CONTEST, *ENTRANT, *CELL, "fold", "slide"], ignore_index=True).drop_duplicates()


def cells(measured: pd.DataFrame) -> pd.DataFrame:
    """Means over slides: a row a contest, entrant and block, a column a seed, NaN where nothing was measured."""
    return measured.groupby([*CONTEST, *ENTRANT, *CELL])["value"].mean().unstack("seed")


def references(rows: pd.DataFrame) -> dict[str, str]:
    """For each method, why it is no rival of the others, or ""."""
    return rows.groupby("method")["reference"].max().to_dict()


def rivals(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the methods that may be compared at equal budget: all but references."""
    return rows[rows["reference"] == ""]
