"""Score rows as all tables read them: arms, measured scores, means over slides, rivals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats.contests import CONTEST


class Entrant(NamedTuple):
    """What has a line in a table: a method, the unit that it trains on, and its budget."""

    method: str
    unit: str
    budget_axis: str
    budget: float


ENTRANT = list(Entrant._fields)
BLOCK = ["cluster", "block"]
REPEATS = [*BLOCK, "seed"]  # what a score is averaged over
PLACE = ["slide", "fold", "seed"]  # where an entrant has a score or lacks it


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per arm (method × budget × fold × seed) and dataset that it is tested on, with its status and reason."""
    return rows[(rows["task"] == "arm") & (rows["metric"] == "status")]


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """The measured scores in a fixed order, with four more columns.

    `block`: the donor; or the fold or repeat, where the spots of all slides were pooled. `drawn`: what blocks are.
    `cluster`: the same for blocks that one model was tested on: the donors of a fold, or all donors where the test
    spots lie on slides that were trained on. `whole`: whether the entrant has every slide of this block and seed that
    any entrant has in the contest.

    Args:
        rows: those of all entrants, since what one of them lacks is seen beside the others.
    """
    kept = rows[(rows["status"] == "ok") & ~rows["task"].isin(["arm", "cost", "objective"])]
    pooled = kept["donor"] == "pooled"
    kept = kept.assign(
        block=kept["donor"].where(~pooled, kept["fold"]),
        drawn=np.where(pooled, np.where(kept["split"] == "donor", "folds", "repeats"), "donors"),
    )
    kept = kept.assign(cluster=cluster_names(kept))
    kept = kept.sort_values([*CONTEST, *ENTRANT, *REPEATS, "fold", "slide"], ignore_index=True).drop_duplicates()
    cell = [*CONTEST, *REPEATS]
    present = kept.drop_duplicates([*cell, *ENTRANT, *PLACE]).groupby([*cell, *ENTRANT]).size().rename("present")
    expected = kept.drop_duplicates([*cell, *PLACE]).groupby(cell).size().rename("expected")
    counts = kept[[*cell, *ENTRANT]].join(present, on=[*cell, *ENTRANT]).join(expected, on=cell)
    return kept.assign(whole=counts["present"].to_numpy() == counts["expected"].to_numpy())


def cluster_names(kept: pd.DataFrame) -> pd.Series:
    """The name of each row's cluster: the first of all blocks that are joined by folds that they share.

    Args:
        kept: score rows with the column `block`.
    """
    groups = ["dataset", "split"]
    pairs = kept[[*groups, "block", "fold"]].drop_duplicates()
    name = pairs["block"]
    while True:
        joined = name.groupby([pairs[key] for key in (*groups, "fold")]).transform("min")
        joined = joined.groupby([pairs[key] for key in (*groups, "block")]).transform("min")
        if joined.equals(name):
            break
        name = joined
    by_block = pairs.assign(cluster=name).drop_duplicates([*groups, "block"]).set_index([*groups, "block"])["cluster"]
    return kept.join(by_block, on=[*groups, "block"])["cluster"]


def score_matrix(measured: pd.DataFrame) -> pd.DataFrame:
    """Means over slides (and over the repeats of a split within slides).

    Args:
        measured: rows of `scores`.

    Returns:
        One row per contest, entrant, cluster and block, one column per seed, NaN where nothing was measured.
    """
    return measured.groupby([*CONTEST, *ENTRANT, *REPEATS])["value"].mean().unstack("seed")


def comparable(measured: pd.DataFrame) -> pd.DataFrame:
    """The `score_matrix` of whole scores alone: a mean that lacks a slide is compared with nothing."""
    return score_matrix(measured[measured["whole"]])


def cells(table: pd.DataFrame) -> pd.Series:
    """The scores of a table with one column per seed as one series, whose index has the seed too, without gaps."""
    return pd.Series(table.stack()).dropna()


def by_label(matrix: pd.DataFrame) -> pd.DataFrame:
    """A `score_matrix` of one contest and budget, with one row per (method, cluster, block)."""
    return matrix.droplevel([name for name in (*CONTEST, *ENTRANT) if name != "method"])


def clusters(table: pd.DataFrame) -> np.ndarray:
    """The cluster of each row of a table whose index holds `BLOCK`."""
    return table.index.get_level_values("cluster").to_numpy()


def references(rows: pd.DataFrame) -> dict[str, str]:
    """For each method, why it is no rival of the others, or ""."""
    return {str(method): reason for method, reason in rows.groupby("method")["reference"].max().items()}


def rivals(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the methods that may be compared at equal budget: all but references."""
    return rows[rows["reference"] == ""]
