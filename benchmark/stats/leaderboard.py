"""From score rows to the leaderboard: means, intervals over donors and seeds, ranks. Pure functions of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.stats import intervals
from benchmark.stats.contests import CONTEST, held, select
from benchmark.stats.names import named
from benchmark.stats.rows import ENTRANT, cells, scores


def leaderboard(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a contest and entrant, best first; an entrant without any value has a row with its reason.

    `value` is the mean over donors of the mean over slides and seeds; `low` and `high` bound its 95% bootstrap
    interval over what `resampled` names. `n_present` of `n_expected` counts the (slide, fold, seed) that gave a value.
    `spots_seen` is what the budget was enough for in an arm, repeats included; NaN where nothing was trained.
    """
    measured = scores(rows)
    board = _places(rows, measured).merge(_values(measured, rows), how="left", on=[*CONTEST, *ENTRANT])
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
    """The values, their sign turned where lower is better."""
    metrics = pd.MultiIndex.from_frame(board[["task", "metric"]])
    lower = {key: declared(key[0]).metric(key[1]).lower_is_better for key in metrics.unique()}
    return board["value"].where(~metrics.map(lower).to_numpy(dtype=bool), -board["value"])


def _places(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Every entrant in every contest, with the number of (slide, fold, seed) that it has and that anybody has."""
    place = ["slide", "fold", "seed"]
    entrants = rows[["dataset", *ENTRANT]].drop_duplicates()
    expected = measured.drop_duplicates([*CONTEST, *place]).groupby(CONTEST).size().rename("n_expected")
    present = measured.drop_duplicates([*CONTEST, *ENTRANT, *place]).groupby([*CONTEST, *ENTRANT])
    present = present.agg(n_present=("seed", "size"), transductive=("transductive", "any"), note=("note", "max"))
    pairs = expected.reset_index().merge(entrants, on="dataset")
    return pairs.merge(present.reset_index(), how="left", on=[*CONTEST, *ENTRANT])


def _values(measured: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """value, low, high, resampled, n_blocks, n_seeds of each contest and entrant that has a score."""
    by_seed = cells(measured)
    matrix = by_seed.to_numpy()
    records = [
        (*key, *_summary(matrix[index], dict(zip(CONTEST, key, strict=False))))
        for key, index in by_seed.groupby([*CONTEST, *ENTRANT]).indices.items()
    ]
    summary = ["value", "low", "high", "resampled", "n_blocks", "n_seeds"]
    table = pd.DataFrame(records, columns=[*CONTEST, *ENTRANT, *summary])
    return table.astype(rows[[*CONTEST, *ENTRANT]].dtypes)  # an empty table has no types of its own


def _summary(cells: np.ndarray, contest: dict) -> tuple:
    """value, low, high, resampled, n_blocks, n_seeds of `[n_blocks, n_seeds]`."""
    cells = cells[:, ~np.isnan(cells).all(axis=0)]
    n_blocks, n_seeds = cells.shape
    value = intervals.mean(cells)
    if declared(contest["task"]).metric(contest["metric"]).resampled == "nothing":
        return value, np.nan, np.nan, "", n_blocks, n_seeds
    blocks = "donors" if contest["split"] == "donor" else "repeats"
    resampled = ", ".join(word for word, n in ((blocks, n_blocks), ("seeds", n_seeds)) if n > 1)
    return value, *intervals.bootstrap(cells), resampled, n_blocks, n_seeds


def _spots_seen(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over the arms of each entrant that trained."""
    seen = rows[(rows["task"] == "cost") & (rows["metric"] == "spots_seen") & (rows["status"] == "ok")]
    return seen.groupby(["dataset", *ENTRANT])["value"].mean().rename("spots_seen").reset_index()


def _reasons(rows: pd.DataFrame) -> pd.DataFrame:
    """Why an entrant may lack a task: that it cannot do it, or else that its arms failed."""
    lacking = rows[(rows["status"] != "ok") & ~rows["task"].isin(["arm", "cost"])]
    lacking = lacking.sort_values("status", ascending=False, kind="stable")  # "not applicable" before "failed"
    columns = ["dataset", "task", *ENTRANT]
    return lacking.drop_duplicates(columns)[[*columns, "status", "reason"]]


def headline(board: pd.DataFrame) -> pd.DataFrame:
    """One row an entrant, one column a key contest that was held; ordered by the first of them."""
    contests = held(board)
    columns = {
        name: select(board, contest).set_index(["name", *ENTRANT])["value"] for name, contest in contests.items()
    }
    entrants = board.set_index(["name", *ENTRANT]).index.unique()
    table = pd.DataFrame(columns, index=entrants)
    for name, contest in list(contests.items())[:1]:
        table = table.sort_values(name, ascending=contest.lower_is_better, kind="stable")
    return table
