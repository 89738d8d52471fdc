"""Score rows as all tables read them: arms, measured scores, means over slides, rivals."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from benchmark.stats.contests import CONTEST


class Entrant(NamedTuple):
    """What has a line in a table: a method, the unit that it trains on, and its budget."""

    method: str
    unit: str
    budget_axis: str
    budget: float


ENTRANT = list(Entrant._fields)
REPEATS = ["block", "seed"]  # what a score is averaged over


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per arm (method × budget × fold × seed), with its status and reason."""
    return rows[(rows["task"] == "arm") & (rows["metric"] == "status")]


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """The measured scores in a fixed order, with `block`: the donor, or the repeat where the spots were pooled."""
    kept = rows[(rows["status"] == "ok") & ~rows["task"].isin(["arm", "cost"])]
    kept = kept.assign(block=kept["donor"].where(kept["donor"] != "pooled", kept["fold"]))
    return kept.sort_values([*CONTEST, *ENTRANT, *REPEATS, "fold", "slide"], ignore_index=True).drop_duplicates()


def score_matrix(measured: pd.DataFrame) -> pd.DataFrame:
    """Means over slides.

    Args:
        measured: rows of `scores`.

    Returns:
        One row per contest, entrant and block, one column per seed, NaN where nothing was measured.
    """
    return measured.groupby([*CONTEST, *ENTRANT, *REPEATS])["value"].mean().unstack("seed")


def by_label(matrix: pd.DataFrame) -> pd.DataFrame:
    """A `score_matrix` of one contest and budget, with one row per (method, block)."""
    return matrix.droplevel([name for name in (*CONTEST, *ENTRANT) if name != "method"])


def references(rows: pd.DataFrame) -> dict[str, str]:
    """For each method, why it is no rival of the others, or ""."""
    return {str(method): reason for method, reason in rows.groupby("method")["reference"].max().items()}


def rivals(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the methods that may be compared at equal budget: all but references."""
    return rows[rows["reference"] == ""]
