"""What the tables of the page hold: plain lists and dicts for the template."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared, in_order
from benchmark.report import words
from benchmark.stats.comparisons import PCA, UNTRAINED
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.names import AXIS_UNITS, budget_label, seen_label, si
from benchmark.stats.rows import ENTRANT


def at_largest_budget(board: pd.DataFrame) -> pd.DataFrame:
    """Controls, untrained trunks, and of each trained method its largest budget."""
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


def who(row: pd.Series) -> dict:
    """How a table names an entrant; trunks without training and methods without a trunk are controls."""
    return {
        "method": row["method"],
        "name": row["name"],
        "unit": row["unit"],
        "budget": budget_label(row["budget_axis"], row["budget"], row["unit"]),
        "amount": row["budget"],
        "control": row["unit"] == "none" or row["budget"] == 0,
    }


def cell(row: pd.Series) -> dict:
    return {"value": None if np.isnan(row["value"]) else row["value"], "span": words.span(row["low"], row["high"])}


def counted(row: pd.Series) -> dict:
    """Rank, and how much of what was expected is there, or why nothing is."""
    return {
        "rank": None if pd.isna(row["rank"]) else int(row["rank"]),
        "present": row["reason"] or f"{row['n_present']}/{row['n_expected']}",
        "whole": row["n_present"] == row["n_expected"],
        "note": row["note"],
    }


def able(board: pd.DataFrame) -> pd.DataFrame:
    """Without the entrants that the task does not apply to; a failure stays."""
    return board[board["status"] != "not applicable"]


def unable(board: pd.DataFrame) -> str:
    """Their names."""
    return ", ".join(sorted(set(board.loc[board["status"] == "not applicable", "name"])))


def ranking(leading: pd.DataFrame, others: pd.DataFrame) -> list[dict]:
    """The first table: the leading score with its interval as a bar, and the other key scores."""
    others = others.droplevel("name")
    top = max(leading[["value", "high"]].max().max(), 0.01) if len(leading) else 1.0
    return [
        who(row)
        | cell(row)
        | counted(row)
        | {"seen": (None if np.isnan(row["spots_seen"]) else row["spots_seen"], seen_label(row["spots_seen"]))}
        | {"bar": [0 if np.isnan(x) else 100 * max(x, 0) / top for x in row[["value", "low", "high"]]]}
        | {"others": [None if np.isnan(value) else value for value in others.loc[tuple(row[ENTRANT])]]}
        for _, row in able(leading).iterrows()
    ]


def verdicts(compared: pd.DataFrame) -> list[dict]:
    """For each trained method: the controls that it was shown to beat, and those it was not, by verdict."""
    opponents = {UNTRAINED: "its untrained trunk", PCA: "PCA"}
    against = compared[compared["question"].isin(list(opponents))]
    by = [
        f" ({d:+.3f} [{low:+.3f}, {high:+.3f}])" for d, low, high in against[["difference", "low", "high"]].to_numpy()
    ]
    against = against.assign(opponent=against["question"].map(opponents) + by)
    return [
        {
            "name": method,
            "budget": f"{si(budget)}{AXIS_UNITS[axis]}",
            "found": its.groupby("verdict")["opponent"].agg(list).to_dict(),
        }
        for (method, axis, budget), its in against.groupby(["a", "budget_axis", "budget"])
    ]


def sections(board: pd.DataFrame) -> list[dict]:
    """A section a split and task, in it a table a setting and smoothing, ordered by the task's first metric."""
    found = []
    for split in words.in_order(board["split"], words.SPLITS):
        for task in in_order(board.loc[board["split"] == split, "task"]):
            part = board[(board["split"] == split) & (board["task"] == task)]
            found.append(
                {
                    "title": f"{declared(task).title}, {words.SPLITS.get(split, split)}",
                    "tables": [
                        _table(part[(part["setting"] == setting) & (part["neighbours"] == neighbours)])
                        for setting in words.in_order(part["setting"], declared(task).settings)
                        for neighbours in sorted(part.loc[part["setting"] == setting, "neighbours"].unique())
                    ],
                }
            )
    return found


def _table(part: pd.DataFrame) -> dict:
    task, setting, neighbours = part[["task", "setting", "neighbours"]].iloc[0]
    about = declared(task)
    metrics = words.in_order(part["metric"], dict.fromkeys([about.key_scores[0].metric, *about.metrics]))
    first = part[part["metric"] == metrics[0]]
    others = part.set_index(["metric", *ENTRANT])
    return {
        "title": f"{about.setting_title(setting)}, {words.smoothing(neighbours)}",
        "metrics": [words.metric_name(task, metric) for metric in metrics],
        "rows": [
            who(row) | counted(row) | {"cells": [cell(others.loc[(metric, *row[ENTRANT])]) for metric in metrics]}
            for _, row in able(first).iterrows()
        ],
        "unable": unable(first),
        "transductive": bool(first["transductive"].any()),
    }
