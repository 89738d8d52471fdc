"""Tables of several runs: the leaderboard of each dataset with FLOPs and the Pareto front, and who lacks what."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.core.declarations import in_order
from benchmark.stats.contests import CONTEST, Contest, first_contest, select
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.rows import ENTRANT, references
from benchmark.stats.summary import NO_SCORES
from benchmark.stats.summary_ranks import Ranks


def contests(rows: pd.DataFrame) -> list[Contest]:
    """The first key score of each task that has a value."""
    valued = rows[(rows["status"] == "ok") & ~rows["task"].isin(NO_SCORES)]
    found = pd.MultiIndex.from_frame(valued[list(Contest._fields)]).unique()
    return [contest for contest in map(first_contest, in_order(valued["task"])) if contest in found]


def boards(rows: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard of every dataset in its `contests`, with four more columns.

    `data`, `protocol`: ids. `flops`: mean over the arms, 0 without pretraining, NaN for references: nobody counted what
    a released model has cost. `front`: whether no other entrant is as good for as few FLOPs.
    """
    shown = [tuple(contest) for contest in contests(rows)]
    wanted = pd.MultiIndex.from_frame(rows[list(Contest._fields)]).isin(shown)
    part = rows[wanted | rows["task"].isin(NO_SCORES) | (rows["status"] != "ok")]
    board = leaderboard(part)
    board = board[pd.MultiIndex.from_frame(board[list(Contest._fields)]).isin(shown)]
    ids = rows[wanted].drop_duplicates(["dataset", "task", "split"])[["dataset", "task", "split", "data", "protocol"]]
    board = board.merge(ids, how="left", on=["dataset", "task", "split"])
    board = board.merge(_flops(rows), how="left", on=["dataset", *ENTRANT])
    untrained = (board["unit"] == "none") | (board["budget"] == 0)
    counted = board["method"].map(references(rows)) == ""
    board["flops"] = board["flops"].fillna(untrained.map({True: 0.0, False: np.nan})).where(counted)
    board["front"] = pd.concat([_front(part) for _, part in board.groupby(CONTEST)])
    order = [Contest._make(key) for key in board[list(Contest._fields)].itertuples(index=False, name=None)]
    board["order"] = [shown.index(tuple(contest)) for contest in order]
    keys = ["order", "dataset", "rank", "value"]
    return board.sort_values(keys, ignore_index=True, kind="stable").drop(columns="order")


def _flops(rows: pd.DataFrame) -> pd.DataFrame:
    spent = rows[(rows["task"] == "cost") & (rows["metric"] == "flops") & (rows["status"] == "ok")]
    return spent.groupby(["dataset", *ENTRANT])["value"].mean().rename("flops").reset_index()


def _front(board: pd.DataFrame) -> pd.Series:
    """Whether each entrant of one contest is on the Pareto front of score against FLOPs."""
    known = board[(board["status"] == "ok") & board["flops"].notna()]
    contest = Contest._make(board[list(Contest._fields)].iloc[0])
    score = known["value"].to_numpy(dtype=float) * (-1 if contest.lower_is_better else 1)
    flops = known["flops"].to_numpy(dtype=float)
    no_worse = (score[:, None] >= score) & (flops[:, None] <= flops)
    beaten = no_worse & ((score[:, None] > score) | (flops[:, None] < flops))
    return pd.Series(~beaten.any(axis=0), known.index).reindex(board.index, fill_value=False)


def missing(board: pd.DataFrame) -> pd.DataFrame:
    """Who lacks what: a row for each contest, dataset and entrant that has not every score there.

    Args:
        board: as `boards` makes it.

    Returns:
        CONTEST, ENTRANT, name, status ("not run", "not applicable", "failed", "incomplete") and reason.
    """
    everyone = board[["name", *ENTRANT]].drop_duplicates(ENTRANT)
    pairs = board[CONTEST].drop_duplicates().merge(everyone, how="cross")
    found = pairs.merge(board[[*CONTEST, *ENTRANT, "status", "reason"]], how="left", on=[*CONTEST, *ENTRANT])
    found["status"] = found["status"].fillna("not run")
    found["reason"] = found["reason"].fillna("no run of it on this dataset")
    return found[found["status"] != "ok"].reset_index(drop=True)


def standings(board: pd.DataFrame, contest: Contest, ranked: Ranks | None) -> pd.DataFrame:
    """The entrants of a contest by mean rank, after them those that have no rank.

    Returns:
        Contest's columns, name, ENTRANT, mean_rank, elo, low, high, and n_datasets on which it has every score.
    """
    here = select(board, contest)
    whole = here["status"].eq("ok").groupby([here[key] for key in ENTRANT]).sum().rename("n_datasets")
    named = here.dropna(subset="value").drop_duplicates(ENTRANT)[["name", *ENTRANT]].join(whole, on=ENTRANT)
    columns = ["mean_rank", "elo", "low", "high"]
    named = named.join(ranked.table, on=ENTRANT) if ranked else named.assign(**dict.fromkeys(columns, np.nan))
    named = named.sort_values(["mean_rank", "elo"], ascending=[True, False], ignore_index=True)
    return named.assign(**contest._asdict())[[*Contest._fields, "name", *ENTRANT, *columns, "n_datasets"]]
