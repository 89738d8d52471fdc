"""From score rows to the leaderboard: means, intervals over donors and seeds, ranks. Pure functions of the rows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.stats import intervals
from benchmark.stats.completeness import completeness
from benchmark.stats.contests import CONTEST, Contest, measured_key_contests, select
from benchmark.stats.names import named
from benchmark.stats.rows import ENTRANT, clusters, score_matrix, scores


def leaderboard(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per contest and entrant, best first. An entrant without any value has a row with its reason.

    `value` is the mean over donors of the mean over slides and seeds; `low` and `high` bound its 95% bootstrap
    interval over what `resampled` names. `n_present` of `n_expected` counts the (slide, fold, seed) that gave a value.
    `rank` is among the complete entrants: they have every score that anybody has. An incomplete one stands below them,
    with the mean of what it has, the status "incomplete", and what it lacks as the reason.
    `spots_seen` is what the budget was enough for in one arm, repeats included; NaN where nothing was trained.
    """
    measured = scores(rows)
    board = _entries(rows, measured).merge(_values(measured, rows), how="left", on=[*CONTEST, *ENTRANT])
    board = board.merge(_spots_seen(rows), how="left", on=["dataset", *ENTRANT])
    board = board.merge(_reasons(rows), how="left", on=["dataset", "task", *ENTRANT])
    counts = ["n_present", "n_blocks", "n_seeds"]
    board[counts] = board[counts].fillna(0).astype(int)
    board["transductive"] = board["transductive"].eq(True)
    board[["resampled", "note", "missing"]] = board[["resampled", "note", "missing"]].fillna("")
    absent, incomplete = board["n_present"] == 0, board["missing"] != ""
    board["status"] = board["status"].fillna("failed").where(absent, "ok").mask(incomplete, "incomplete")
    board["reason"] = board["reason"].fillna("no arm of it has a score").where(absent, "")
    board["reason"] = board["reason"].mask(incomplete, "incomplete: " + board.pop("missing"))

    better = _better(board).where(board["status"] == "ok")
    board["rank"] = better.groupby([board[key] for key in CONTEST]).rank(method="min", ascending=False)
    board["rank"] = board["rank"].astype("Int64")
    board = named(board, rows).assign(absent=absent)
    return board.sort_values([*CONTEST, "rank", "absent", *ENTRANT], ignore_index=True).drop(columns="absent")


def _better(board: pd.DataFrame) -> pd.Series:
    """The values, with the sign turned where lower is better."""
    metrics = pd.MultiIndex.from_frame(board[["task", "metric"]])
    lower = {(task, metric): declared(task).metric(metric).lower_is_better for task, metric in metrics.unique()}
    return board["value"].where(~metrics.map(lower).to_numpy(dtype=bool), -board["value"])


def _entries(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Every entrant in every contest, with the columns of `completeness`, `transductive` and `note`."""
    entrants = rows[["dataset", *ENTRANT]].drop_duplicates()
    counts = completeness(rows, measured)
    of_entrant = measured.groupby([*CONTEST, *ENTRANT])
    present = of_entrant.agg(transductive=("transductive", "any"), note=("note", "max")).reset_index()
    pairs = counts[[*CONTEST, "n_expected"]].drop_duplicates().merge(entrants, on="dataset")
    counts = counts.drop(columns="n_expected").merge(present, on=[*CONTEST, *ENTRANT])
    return pairs.merge(counts, how="left", on=[*CONTEST, *ENTRANT])


def _values(measured: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """value, low, high, resampled, n_blocks, n_seeds of each contest and entrant that has a score."""
    by_seed = score_matrix(measured)
    matrix, names = by_seed.to_numpy(), clusters(by_seed)
    kinds = measured[[*CONTEST, "drawn"]].drop_duplicates().itertuples(index=False, name=None)
    drawn = {key[:-1]: key[-1] for key in kinds}
    groups = cast("dict[tuple[Any, ...], np.ndarray]", by_seed.groupby([*CONTEST, *ENTRANT]).indices)
    records = [
        (*key, *_summary(matrix[index], names[index], drawn[contest], Contest._make(contest[1:])))
        for key, index in groups.items()
        for contest in [key[: len(CONTEST)]]
    ]
    summary = ["value", "low", "high", "resampled", "n_blocks", "n_seeds"]
    table = pd.DataFrame(records, columns=[*CONTEST, *ENTRANT, *summary])
    return table.astype(rows[[*CONTEST, *ENTRANT]].dtypes)  # an empty table has no types of its own


def _summary(
    matrix: np.ndarray, names: np.ndarray, blocks: str, contest: Contest
) -> tuple[float, float, float, str, int, int]:
    """value, low, high, resampled, n_blocks, n_seeds of scores `[n_blocks, n_seeds]`, whose blocks have clusters."""
    matrix = matrix[:, ~np.isnan(matrix).all(axis=0)]
    n_blocks, n_seeds = matrix.shape
    n_clusters = len(set(names))
    value = intervals.mean(matrix)
    if contest.measure.resampled == "nothing":
        return value, np.nan, np.nan, "", n_blocks, n_seeds
    folds = n_clusters if n_clusters < n_blocks else 1  # where each fold is a donor, it is enough to name donors
    resampled = ", ".join(word for word, n in (("folds", folds), (blocks, n_blocks), ("seeds", n_seeds)) if n > 1)
    return value, *intervals.bootstrap(matrix, names), resampled, n_blocks, n_seeds


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


def headline(board: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """The short table: one row per entrant, one column per key contest that has scores, ordered by the first: the
    ranked entrants, then the incomplete ones, then those without a score.

    Args:
        column: of the leaderboard, what the table holds.
    """
    contests = measured_key_contests(board)
    columns = {
        heading: select(board, contest).set_index(["name", *ENTRANT])[column] for heading, contest in contests.items()
    }
    entrants = board.set_index(["name", *ENTRANT]).index.unique()
    table = pd.DataFrame(columns, index=entrants)
    for contest in list(contests.values())[:1]:
        table = table.reindex(select(board, contest).set_index(["name", *ENTRANT]).index)
    return table
