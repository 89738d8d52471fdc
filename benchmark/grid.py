"""Families of entrants that differ in their options alone, read back from score rows: which options vary, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

DEFAULT = "default"  # the level of an option that an entry leaves to its method
LEAST_ENTRANTS = 3
CROWD = 12  # a family of more entrants is shown by its best and its worst where every entrant has a line


@dataclass(frozen=True)
class Family:
    """Entrants of one plugin and unit at their largest budget.

    Attributes:
        method: name of the plugin.
        factors: the options that vary, each with its levels as text: the default, numbers in their order, names
            sorted, null.
        fixed: the options that all entrants share.
        levels: a row a label of the run, a column a factor; of labels with the same options, the first.
    """

    dataset: str
    method: str
    unit: str
    budget_axis: str
    budget: float
    factors: dict[str, list[str]]
    fixed: dict[str, str]
    levels: pd.DataFrame

    @property
    def key(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in KEY}


KEY = ["dataset", "method", "unit", "budget_axis", "budget"]


def families(rows: pd.DataFrame) -> list[Family]:
    """Every family of at least three entrants with an option that varies."""
    entrants = rows[["method", "options", *KEY[:1], *KEY[2:]]].drop_duplicates()
    options = {text: json.loads(text) for text in entrants["options"].unique()}
    plugin = entrants["options"].map(lambda text: options[text].get("method"))
    found = []
    for key, its in entrants.assign(plugin=plugin).groupby(["dataset", "plugin", "unit", "budget_axis"]):
        its = its[its["budget"] == its["budget"].max()].sort_values("method")
        its = its.drop_duplicates("options").set_index("method")["options"].map(options)
        ordered = _levels(its)
        factors = {name: [text for *_, text in levels] for name, levels in ordered.items() if len(levels) > 1}
        fixed = {name: levels[0][-1] for name, levels in ordered.items() if len(levels) == 1}
        if factors and len(its) >= LEAST_ENTRANTS:
            levels = pd.DataFrame({name: its.map(lambda entry, name=name: _level(entry, name)[-1]) for name in factors})
            budget = entrants.loc[entrants["method"].isin(its.index), "budget"].max()
            found.append(Family(*key, budget, factors, fixed, levels))
    return found


def crowds(rows: pd.DataFrame) -> dict[str, int]:
    """The family, as a number, of each label that belongs to a large one."""
    found = families(rows)
    return {label: n for n, family in enumerate(found) if len(family.levels) > CROWD for label in family.levels.index}


def between(rows: pd.DataFrame, ranking: pd.DataFrame) -> list[str]:
    """The labels of large families but for the best and the worst of each; all budgets of a label go together.

    Args:
        ranking: the rows of one contest of a leaderboard, best first.
    """
    inner = []
    for family in families(rows):
        ranked = ranking[(ranking["budget"] == family.budget) & ranking["value"].notna()]["method"]
        ranked = ranked[ranked.isin(family.levels.index)].tolist()
        if len(family.levels) > CROWD and ranked:
            inner += [label for label in family.levels.index if label not in (ranked[0], ranked[-1])]
    return inner


def _levels(entries: pd.Series) -> dict[str, list[tuple[int, float, str]]]:
    """The levels of every option that any entry has, in natural order."""
    names = sorted({name for entry in entries for name in entry} - {"method"})
    return {name: sorted({_level(entry, name) for entry in entries}) for name in names}


def _level(entry: dict, name: str) -> tuple[int, float, str]:
    """The level's place in the natural order, and its text."""
    if name not in entry:
        return 0, 0, DEFAULT
    value = entry[name]
    if value is None:
        return 3, 0, "null"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, value, f"{value:.15g}"
    return 2, 0, value if isinstance(value, str) else json.dumps(value)
