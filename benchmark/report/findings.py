"""The tables of leakage, winners and learned context: plain lists and dicts for the templates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.report import words
from benchmark.report.tables import at_largest_budget, entrant, with_interval
from benchmark.stats.champions import MATCH, UNITS
from benchmark.stats.contests import Contest
from benchmark.stats.factorial import FACTORS, Factorial
from benchmark.stats.names import budget_label

LEAKAGE = {"value": "{split}", "held_out": "donors held out", "index": "leakage index", "above_noise": "above noise"}
CONTEXTS = dict.fromkeys(("self", "centre", "tiles", "overlap", "slide"))  # from the least of a slide to the most
NO_SCORE = pd.Series({"value": np.nan, "low": np.nan, "high": np.nan})


def leakage(leaks: pd.DataFrame) -> list[dict]:
    """One table per split, probe and metric, of embeddings without smoothing; the largest budget of trained methods."""
    kept = at_largest_budget(leaks[leaks["neighbours"] == 0])
    tables, domain = [], declared("domain")
    for split in words.in_order(kept["split"], words.SPLITS):
        for metric in words.in_order(kept["metric"], domain.metrics):
            for setting in words.in_order(kept["setting"], domain.settings):
                part = kept[(kept[["split", "metric", "setting"]] == [split, metric, setting]).all(axis=1)]
                if len(part):
                    title = f"{words.metric_name('domain', metric)}, {domain.setting_title(setting)}"
                    tables.append(_leakage(part, split, title))
    return tables


def _leakage(part: pd.DataFrame, split: str, title: str) -> dict:
    names = {"random": "random spots", "few_labels": "20% labelled"}
    return {
        "title": f"{title[:1].upper()}{title[1:]}, {words.SPLITS.get(split, split)}",
        "columns": [heading.format(split=names.get(split, split)) for heading in LEAKAGE.values()],
        "rows": [entrant(row) | {"numbers": [_interval(row, key) for key in LEAKAGE]} for _, row in part.iterrows()],
        "noise": None if part["noise"].isna().all() else part["noise"].iloc[0],
        "random": None if part["random_index"].isna().all() else _gain(part.iloc[0], "random_index"),
        "reasons": sorted(set(part["reason"]) - {""}),
    }


def _interval(row: pd.Series, key: str) -> dict:
    if key in ("index", "above_noise"):
        return _gain(row, key) | {"signed": True}
    prefix = "" if key == "value" else f"{key}_"
    ends = {"value": row[key], "low": row[f"{prefix}low"], "high": row[f"{prefix}high"]}
    return with_interval(pd.Series(ends)) | {"signed": False}


def _gain(row: pd.Series, key: str = "difference") -> dict:
    """A difference of scores and its interval; a value of None where there is none."""
    prefix = "" if key == "difference" else f"{key}_"
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    span = "" if np.isnan(low) else f"[{low:+.3f}, {high:+.3f}]"
    if "n_pairs" in row:
        span += words.of_pairs(row["n_pairs"], row["n_possible"])
    return {"value": None if np.isnan(row[key]) else row[key], "span": span}


def winners(won: pd.DataFrame, standing: pd.DataFrame) -> dict[str, list[dict]]:
    """One list per view: each unit's best, then each trunk size. In it one row per contest and budget."""
    scored = {key: units.set_index("unit") for key, units in standing.groupby(MATCH, sort=False)}
    views: dict[str, list[dict]] = {size: [] for size in dict.fromkeys(won["size"])}
    for _, row in won.iterrows():
        units = {unit: score for unit, score in scored[tuple(row[MATCH])].iterrows()}
        views[row["size"]].append(
            {
                "task": _contest(Contest(*row[list(Contest._fields)])),
                "budget": budget_label(row["budget_axis"], row["budget"], "any"),
                "amount": row["budget"],
                "scores": [
                    with_interval(units.get(unit, NO_SCORE))
                    | {"first": unit == row["first"], "note": _label(units[unit]) if unit in units else ""}
                    for unit in UNITS
                ],
                "lead": _gain(row),
                "p": row["p_holm"],
                "verdict": row["verdict"],
                "wins": row["verdict"].endswith(" wins"),
            }
        )
    return views


def main_settings(won: pd.DataFrame) -> list[str]:
    """The settings that rows of `winners` leave out, each with its task, for the text above them."""
    contests = won[["task", "setting"]].drop_duplicates().itertuples(index=False)
    return [
        f"{declared(task).title}: {declared(task).setting_title(setting)}"
        for task, setting in contests
        if _is_main(task, setting)
    ]


def _is_main(task: str, setting: str) -> bool:
    """Whether it is the setting of the task's first key score, and has a title by name."""
    about = declared(task)
    return setting == about.key_scores[0].setting and setting in about.settings


def _contest(contest: Contest) -> str:
    """The task and its first metric, and the setting unless it is the main one."""
    setting = "" if _is_main(contest.task, contest.setting) else f", {contest.setting}"
    return f"{declared(contest.task).title}{setting}{_smoothed(contest.neighbours)}: {words.metric_of(contest)}"


def _smoothed(neighbours: int) -> str:
    return f", {neighbours}-neighbour mean" if neighbours else ""


def _label(row: pd.Series) -> str:
    """The label that stands for a unit, where there was a choice."""
    return f"{row['method']}, best of {row['n_entrants']}" if row["n_entrants"] > 1 else ""


def factorial(crossed: Factorial) -> dict[str, Any]:
    """A heat table with one row per unit and context, one column per training and smoothing; the effects; their means.

    A value of the heat table is None where the run has no such combination.
    """
    table = crossed.combinations
    columns = [
        (training, neighbours)
        for training in ("untrained", "trained")
        for neighbours in sorted(table["neighbours"].unique())
        if ((table["training"] == training) & (table["neighbours"] == neighbours)).any()
    ]
    scores = {key: score for key, score in table.set_index(FACTORS).iterrows()}
    low, high = table["value"].min(), table["value"].max()
    rows = []
    for unit in (unit for unit in UNITS if unit in set(table["unit"])):
        for context in words.in_order(table.loc[table["unit"] == unit, "context"], CONTEXTS):
            shown = [scores.get((unit, context, *column)) for column in columns]
            values = [
                None
                if score is None
                else with_interval(score)
                | {"heat": (score["value"] - low) / max(high - low, 1e-9), "incomplete": not score["whole"]}
                for score in shown
            ]
            rows.append({"unit": unit, "context": context, "scores": values})
    return {
        "columns": [training + _smoothed(neighbours) for training, neighbours in columns],
        "rows": rows,
        "effects": [row.to_dict() | {"gain": _gain(row)} for _, row in crossed.effects.iterrows()],
        "means": [row.to_dict() | {"gain": _gain(row)} for _, row in crossed.mean_effects.iterrows()],
    }
