"""The ranking, the verdicts and the tables of all tasks: plain lists and dicts for the templates."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared, in_order
from benchmark.report import words
from benchmark.stats.comparisons import PCA, UNTRAINED
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.names import AXIS_UNITS, budget_label, seen_label, si
from benchmark.stats.rows import ENTRANT

MOST_SLIDES = 8  # that a line names


def at_largest_budget(board: pd.DataFrame) -> pd.DataFrame:
    """Controls, untrained trunks, and the largest budget of each trained method."""
    largest = board.groupby(["method", "budget_axis"])["budget"].transform("max")
    return board[(board["budget"] == largest) | (board["budget"] == 0)]


def both_splits(board: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each entrant with donors held out and, in the columns ending in _random, with random spots."""
    accuracy = PRIMARY._replace(metric="accuracy")
    donor, random = (
        at_largest_budget(select(board, accuracy._replace(split=split))).dropna(subset="value")
        for split in ("donor", "random")
    )
    pairs = donor.merge(random, on=["name", *ENTRANT], suffixes=("", "_random"))
    return pairs.sort_values("value_random", ignore_index=True)


def entrant(row: pd.Series) -> dict:
    """How a table names an entrant. Trunks without training and methods without a trunk are controls."""
    return {
        "method": row["method"],
        "name": row["name"],
        "unit": row["unit"],
        "budget": budget_label(row["budget_axis"], row["budget"], row["unit"]),
        "amount": row["budget"],
        "control": row["unit"] == "none" or row["budget"] == 0,
    }


def with_interval(row: pd.Series) -> dict:
    """The score of a row and its interval; a value of None where there is none."""
    return {
        "value": None if np.isnan(row["value"]) else row["value"],
        "span": words.span(row["low"], row["high"]),
        "incomplete": row.get("status") == "incomplete",
    }


def counted(row: pd.Series) -> dict:
    """The rank of a row, and how many of the expected values it has, or the reason why it has none."""
    return {
        "rank": None if pd.isna(row["rank"]) else int(row["rank"]),
        "present": f"{row['n_present']}/{row['n_expected']}",
        "reason": row["reason"],
        "whole": row["n_present"] == row["n_expected"],
        "note": row["note"],
    }


def able(board: pd.DataFrame) -> pd.DataFrame:
    """Without the entrants that the task does not apply to; a failure stays."""
    return board[board["status"] != "not applicable"]


def unable(board: pd.DataFrame) -> str:
    """The names of the entrants that the task does not apply to."""
    return ", ".join(sorted(set(board.loc[board["status"] == "not applicable", "name"])))


def ranking(leading: pd.DataFrame, others: pd.DataFrame, incomplete: pd.DataFrame) -> list[dict]:
    """The first table: the leading score with its interval as a bar, and the other key scores.

    Args:
        leading: the rows of the leading contest of a leaderboard.
        others: the other columns of `headline`.
        incomplete: which of them lack scores that others have.
    """
    others, incomplete = others.droplevel("name"), incomplete.droplevel("name")
    top = max(leading[["value", "high"]].max().max(), 0.01) if len(leading) else 1.0
    return [
        entrant(row)
        | with_interval(row)
        | counted(row)
        | {"seen": (None if np.isnan(row["spots_seen"]) else row["spots_seen"], seen_label(row["spots_seen"]))}
        | {"bar": [0 if np.isnan(x) else 100 * max(x, 0) / top for x in row[["value", "low", "high"]]]}
        | {
            "others": [
                {"value": None if np.isnan(value) else value, "span": "", "incomplete": lacks}
                for value, lacks in zip(*(t.loc[tuple(row[ENTRANT])] for t in (others, incomplete)), strict=True)
            ]
        }
        for _, row in able(leading).iterrows()
    ]


def verdicts(compared: pd.DataFrame, board: pd.DataFrame, did_not_learn: dict[tuple, str]) -> list[dict]:
    """For each trained method: verdict → the controls that it was compared with to that verdict.

    Args:
        did_not_learn: (method, axis, budget) → its R² in words, of those that did not learn.
    """
    names = board.set_index(["method", "budget_axis", "budget"])["name"].to_dict()
    opponents = {UNTRAINED: "its untrained trunk", PCA: "PCA"}
    against = compared[compared["question"].isin(list(opponents))]
    by = [
        f" ({d:+.3f} [{low:+.3f}, {high:+.3f}]{words.of_pairs(int(n), int(possible))})"
        for d, low, high, n, possible in against[["difference", "low", "high", "n_pairs", "n_possible"]].to_numpy()
    ]
    against = against.assign(opponent=against["question"].map(opponents) + by)
    lines = []
    for key, tests in against.groupby(["a", "budget_axis", "budget"]):
        method, axis, budget = cast("tuple[str, str, float]", key)
        by_verdict = tests.groupby("verdict")["opponent"].agg(list).to_dict()
        about = {"method": method, "name": names[method, axis, budget], "budget": f"{si(budget)}{AXIS_UNITS[axis]}"}
        lines.append(about | {"by_verdict": by_verdict, "did_not_learn": did_not_learn.get(key, "")})
    return lines


def sections(board: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One section per split and task, in it one table per setting and smoothing, ordered by the task's first metric.

    Args:
        board: `leaderboard(rows)`.
        rows: score rows; they say what is left out of the means.
    """
    records: list[dict[str, Any]] = []
    for split in words.in_order(board["split"], words.SPLITS):
        for task in in_order(board.loc[board["split"] == split, "task"]):
            part = board[(board["split"] == split) & (board["task"] == task)]
            tables = [
                _table(part[(part["setting"] == setting) & (part["neighbours"] == neighbours)])
                for setting in words.in_order(part["setting"], declared(task).settings)
                for neighbours in sorted(part.loc[part["setting"] == setting, "neighbours"].unique())
            ]
            title = f"{declared(task).title}, {words.SPLITS.get(split, split)}"
            records.append({"title": title, "tables": tables, "left_out": left_out(part, rows)})
    return records


def left_out(part: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """What no mean of a task holds, whatever the method, as in "slide A1 (one class)": each reason once.

    Args:
        part: the rows of one split and task of a leaderboard.
        rows: score rows.
    """
    split, task = part[["split", "task"]].iloc[0]
    lacking = rows[(rows["status"] == "not applicable") & (rows["split"] == split) & (rows["task"] == task)]
    able = pd.MultiIndex.from_frame(part.loc[part["value"].notna(), ENTRANT])
    lacking = lacking[pd.MultiIndex.from_frame(lacking[ENTRANT]).isin(able)]
    lines = []
    for reason, group in lacking.groupby("reason"):
        slides = sorted(set(group["slide"]) - {"pooled"})
        if not slides:
            what = f"in {', '.join(sorted(set(group['fold'])))}"
        else:
            what = f"slide {', '.join(slides)}" if len(slides) <= MOST_SLIDES else f"{len(slides)} slides"
        lines.append(f"{what} ({reason})")
    return lines


def _seers(board: pd.DataFrame) -> str:
    """What saw the slides that are scored: the pretraining of all, the methods that are named, or "" for nothing."""
    seen = board[board["transductive"]]
    if len(seen) and len(seen) == len(able(board)):
        return "pretraining"
    return ", ".join(words.full_name(row) for _, row in seen.iterrows())


def _table(part: pd.DataFrame) -> dict:
    task, setting, neighbours = part[["task", "setting", "neighbours"]].iloc[0]
    about = declared(task)
    metrics = words.in_order(part["metric"], dict.fromkeys([about.key_scores[0].metric, *about.metrics]))
    first = part[part["metric"] == metrics[0]]
    scores = part.set_index(["metric", *ENTRANT])
    return {
        "title": f"{about.setting_title(setting)}, {words.smoothing(neighbours)}",
        "metrics": [words.metric_name(task, metric) for metric in metrics],
        "rows": [
            entrant(row)
            | counted(row)
            | {"scores": [with_interval(scores.loc[(metric, *row[ENTRANT])]) for metric in metrics]}
            for _, row in able(first).iterrows()
        ],
        "unable": unable(first),
        "transductive": _seers(first),
    }
