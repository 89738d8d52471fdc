"""What the tables of leakage, winners and learned context hold: plain lists and dicts for the template."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.report import words
from benchmark.report.tables import at_largest_budget, cell, who
from benchmark.stats.contests import Contest
from benchmark.stats.factorial import FACTORS
from benchmark.stats.names import budget_label
from benchmark.stats.winners import AT, UNITS

LEAKAGE = {"value": "{split}", "held_out": "donors held out", "index": "leakage index", "above_noise": "above noise"}
CONTEXTS = dict.fromkeys(("self", "centre", "tiles", "overlap", "slide"))  # from the least of a slide to the most


def leakage(leaks: pd.DataFrame) -> list[dict]:
    """A table a split, probe and metric, of the embeddings as they are; of trained methods the largest budget."""
    kept = at_largest_budget(leaks[leaks["neighbours"] == 0])
    found, domain = [], declared("domain")
    for split in words.in_order(kept["split"], words.SPLITS):
        for metric in words.in_order(kept["metric"], domain.metrics):
            for setting in words.in_order(kept["setting"], domain.settings):
                part = kept[(kept[["split", "metric", "setting"]] == [split, metric, setting]).all(axis=1)]
                if len(part):
                    found.append(
                        _leakage(part, split, f"{words.metric_name('domain', metric)}, {domain.setting_title(setting)}")
                    )
    return found


def _leakage(part: pd.DataFrame, split: str, title: str) -> dict:
    names = {"random": "random spots", "few_labels": "20% labelled"}
    return {
        "title": f"{title[:1].upper()}{title[1:]}, {words.SPLITS.get(split, split)}",
        "columns": [heading.format(split=names.get(split, split)) for heading in LEAKAGE.values()],
        "rows": [who(row) | {"cells": [_interval(row, key) for key in LEAKAGE]} for _, row in part.iterrows()],
        "noise": None if part["noise"].isna().all() else part["noise"].iloc[0],
    }


def _interval(row: pd.Series, key: str) -> dict:
    if key in ("index", "above_noise"):
        return _gain(row, key) | {"signed": True}
    prefix = "" if key == "value" else f"{key}_"
    ends = {"value": row[key], "low": row[f"{prefix}low"], "high": row[f"{prefix}high"]}
    return cell(pd.Series(ends)) | {"signed": False}


def _gain(row: pd.Series, key: str = "difference") -> dict:
    """A difference of scores and its interval; a value of None where there is none."""
    prefix = "" if key == "difference" else f"{key}_"
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    span = "" if np.isnan(low) else f"[{low:+.3f}, {high:+.3f}]"
    return {"value": None if np.isnan(row[key]) else row[key], "span": span}


def winners(won: pd.DataFrame, standing: pd.DataFrame) -> dict[str, list[dict]]:
    """A list a view: each unit's best, then each trunk size; in it a row a contest and budget."""
    scored = {key: its.set_index("unit") for key, its in standing.groupby(AT, sort=False)}
    views = {size: [] for size in dict.fromkeys(won["size"])}
    for _, row in won.iterrows():
        units = scored[tuple(row[AT])]
        views[row["size"]].append(
            {
                "task": _contest(Contest(*row[list(Contest._fields)])),
                "budget": budget_label(row["budget_axis"], row["budget"], "any"),
                "amount": row["budget"],
                "cells": [
                    cell(units.loc[unit]) | {"first": unit == row["first"], "note": _entrant(units.loc[unit])}
                    if unit in units.index
                    else cell(pd.Series({"value": np.nan, "low": np.nan, "high": np.nan}))
                    | {"first": False, "note": ""}
                    for unit in UNITS
                ],
                "lead": _gain(row),
                "p": row["p_holm"],
                "verdict": row["verdict"],
                "wins": row["verdict"].endswith(" wins"),
            }
        )
    return views


def _contest(contest: Contest) -> str:
    """The task and its first metric; the setting where it is no probe that goes without saying."""
    about = declared(contest.task)
    setting = "" if contest.setting in about.settings else f", {contest.setting}"
    return f"{about.title}{setting}{_smoothed(contest.neighbours)}: {words.metric_of(contest)}"


def _smoothed(neighbours: int) -> str:
    return f", {neighbours}-neighbour mean" if neighbours else ""


def _entrant(row: pd.Series) -> str:
    """What stands for a unit, where there was a choice."""
    return f"{row['method']}, best of {row['n_entrants']}" if row["n_entrants"] > 1 else ""


def factorial(cells: pd.DataFrame, effects: pd.DataFrame, means: pd.DataFrame) -> dict:
    """A heat table (a row a unit and context, a column a training and smoothing) and the rows of the effects
    and of their means."""
    columns = [
        (training, neighbours)
        for training in ("untrained", "trained")
        for neighbours in sorted(cells["neighbours"].unique())
        if ((cells["training"] == training) & (cells["neighbours"] == neighbours)).any()
    ]
    by_place = cells.set_index(FACTORS)
    low, high = cells["value"].min(), cells["value"].max()
    rows = []
    for unit in (unit for unit in UNITS if unit in set(cells["unit"])):
        for context in words.in_order(cells.loc[cells["unit"] == unit, "context"], CONTEXTS):
            places = [(unit, context, *column) for column in columns]
            shown = [by_place.loc[place] if place in by_place.index else None for place in places]
            rows.append(
                {
                    "unit": unit,
                    "context": context,
                    "cells": [
                        None if row is None else cell(row) | {"heat": (row["value"] - low) / max(high - low, 1e-9)}
                        for row in shown
                    ],
                }
            )
    return {
        "columns": [training + _smoothed(neighbours) for training, neighbours in columns],
        "rows": rows,
        "effects": [row.to_dict() | {"gain": _gain(row)} for _, row in effects.iterrows()],
        "means": [row.to_dict() | {"gain": _gain(row)} for _, row in means.iterrows()],
    }
