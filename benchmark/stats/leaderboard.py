"""From score rows to the leaderboard: means, intervals over donors and seeds, ranks. Pure functions of the rows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.stats import intervals
from benchmark.stats.contests import CONTEST, Contest, measured_key_contests, select
from benchmark.stats.names import named
from benchmark.stats.rows import ENTRANT, score_matrix, scores


def leaderboard(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per contest and entrant, best first. An entrant without any value has a row with its reason.

    `value` is the mean over donors of the mean over slides and seeds; `low` and `high` bound its 95% bootstrap
    interval over what `resampled` names. `n_present` of `n_expected` counts the (slide, fold, seed) that gave a value.
    `spots_seen` is what the budget was enough for in one arm, repeats included; NaN where nothing was trained.
    """
    measured = scores(rows)
    board = _entries(rows, measured).merge(_values(measured, rows), how="left", on=[*CONTEST, *ENTRANT])
    board = board.merge(_spots_seen(rows), how="left", on=["dataset", *ENTRANT])
    board = board.merge(_reasons(rows), how="left", on=["dataset", "task", *ENTRANT])
    counts = ["n_present", "n_blocks", "n_seeds"]
    board[counts] = board[counts].fillna(0).astype(int)
    board["transductive"] = board["transductive"].eq(True)
    board[["resampled", "note"]] = board[["resampled", "note"]].fillna("")
    absent = board["n_present"] == 0
    board["status"] = board["status"].fillna("failed").where(absent, "ok")
    board["reason"] = board["reason"].fillna("no arm of it has a score").where(absent, "")

    board["rank"] = _better(board).groupby([board[key] for key in CONTEST]).rank(method="min", ascending=False)
    board["rank"] = board["rank"].astype("Int64")
    return named(board, rows).sort_values([*CONTEST, "rank", *ENTRANT], ignore_index=True)


def _better(board: pd.DataFrame) -> pd.Series:
    """The values, with the sign turned where lower is better."""
    metrics = pd.MultiIndex.from_frame(board[["task", "metric"]])
    lower = {(task, metric): declared(task).metric(metric).lower_is_better for task, metric in metrics.unique()}
    return board["value"].where(~metrics.map(lower).to_numpy(dtype=bool), -board["value"])


def _entries(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Every entrant in every contest. `n_present` counts the (slide, fold, seed) with a score of the entrant,
    `n_expected` those with a score of any entrant."""
    position = ["slide", "fold", "seed"]
    entrants = rows[["dataset", *ENTRANT]].drop_duplicates()
    expected = measured.drop_duplicates([*CONTEST, *position]).groupby(CONTEST).size().rename("n_expected")
    of_entrant = measured.drop_duplicates([*CONTEST, *ENTRANT, *position]).groupby([*CONTEST, *ENTRANT])
    present = of_entrant.agg(
        n_present=("seed", "size"), transductive=("transductive", "any"), note=("note", "max")
    ).reset_index()
    pairs = expected.reset_index().merge(entrants, on="dataset")
    return pairs.merge(present, how="left", on=[*CONTEST, *ENTRANT])


def _values(measured: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """value, low, high, resampled, n_blocks, n_seeds of each contest and entrant that has a score."""
    by_seed = score_matrix(measured)
    matrix = by_seed.to_numpy()
    groups = cast("dict[tuple[Any, ...], np.ndarray]", by_seed.groupby([*CONTEST, *ENTRANT]).indices)
    records = [(*key, *_summary(matrix[index], Contest._make(key[1 : len(CONTEST)]))) for key, index in groups.items()]
    summary = ["value", "low", "high", "resampled", "n_blocks", "n_seeds"]
    table = pd.DataFrame(records, columns=[*CONTEST, *ENTRANT, *summary])
    return table.astype(rows[[*CONTEST, *ENTRANT]].dtypes)  # an empty table has no types of its own


def _summary(matrix: np.ndarray, contest: Contest) -> tuple[float, float, float, str, int, int]:
    """value, low, high, resampled, n_blocks, n_seeds of scores `[n_blocks, n_seeds]`."""
    matrix = matrix[:, ~np.isnan(matrix).all(axis=0)]
    n_blocks, n_seeds = matrix.shape
    value = intervals.mean(matrix)
    if contest.measure.resampled == "nothing":
        return value, np.nan, np.nan, "", n_blocks, n_seeds
    blocks = "donors" if contest.split == "donor" else "repeats"
    resampled = ", ".join(word for word, n in ((blocks, n_blocks), ("seeds", n_seeds)) if n > 1)
    return value, *intervals.bootstrap(matrix), resampled, n_blocks, n_seeds


def _spots_seen(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over the arms of each entrant that trained."""
    seen = rows[(rows["task"] == "cost") & (rows["metric"] == "spots_seen") & (rows["status"] == "ok")]
    return seen.groupby(["dataset", *ENTRANT])["value"].mean().rename("spots_seen").reset_index()


def _reasons(rows: pd.DataFrame) -> pd.DataFrame:
    """Why an entrant may lack a task: the task does not apply to it, or else its arms failed."""
    lacking = rows[(rows["status"] != "ok") & ~rows["task"].isin(["arm", "cost"])]
    lacking = lacking.sort_values("status", ascending=False, kind="stable")  # "not applicable" before "failed"
    columns = ["dataset", "task", *ENTRANT]
    return lacking.drop_duplicates(columns)[[*columns, "status", "reason"]]


def headline(board: pd.DataFrame) -> pd.DataFrame:
    """The short table: one row per entrant, one column per key contest that has scores, ordered by the first."""
    contests = measured_key_contests(board)
    columns = {
        heading: select(board, contest).set_index(["name", *ENTRANT])["value"] for heading, contest in contests.items()
    }
    entrants = board.set_index(["name", *ENTRANT]).index.unique()
    table = pd.DataFrame(columns, index=entrants)
    for heading, contest in list(contests.items())[:1]:
        table = table.sort_values(heading, ascending=contest.lower_is_better, kind="stable")
    return table
