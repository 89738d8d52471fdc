"""The options that entrants differ in, read back from score rows: which of them vary, and in which levels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

DEFAULT = "default"  # the level of an option that an entry leaves to its method
LEAST_ENTRANTS = 3
CROWD = 12  # of a larger family, tables with a line per entrant show only the best and the worst
KEY = ["dataset", "method", "unit", "budget_axis", "budget"]


@dataclass(frozen=True)
class Family:
    """Entrants of one plugin and unit at their largest budget.

    Attributes:
        method: name of the plugin.
        factors: the options that vary, each with its levels as text, in the order of `Level`.
        fixed: the options that all entrants share.
        levels: one row per label of the run, one column per factor. Of labels with the same options, the first.
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
        """The columns `KEY`."""
        return {name: getattr(self, name) for name in KEY}


class Level(NamedTuple):
    """The value of an option. Sorted: the default, numbers by size, names, null."""

    kind: int
    number: float
    text: str


def entries(rows: pd.DataFrame) -> dict[str, dict]:
    """Label → its options, with the name of the plugin as "method"."""
    labels = rows.drop_duplicates("method")[["method", "options"]]
    return {label: {"method": label} | json.loads(text) for label, text in labels.itertuples(index=False)}


def level(options: dict, name: str) -> Level:
    """The level of the option `name` in an entry's options."""
    if name not in options:
        return Level(0, 0, DEFAULT)
    value = options[name]
    if value is None:
        return Level(3, 0, "null")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Level(1, value, f"{value:.15g}")
    return Level(2, 0, value if isinstance(value, str) else json.dumps(value))


def rest(options: dict, name: str) -> str:
    """All options but one, as JSON. Labels with the same rest differ in that option alone."""
    return json.dumps({key: value for key, value in options.items() if key != name}, sort_keys=True)


def levels(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row per label of the plugins that are given the option anywhere.

    Returns:
        Index: the label, "method". Columns: `plugin`, `level`, and `rest`, its other options.
    """
    options = entries(rows)
    records = [(entry["method"], level(entry, name).text, rest(entry, name)) for entry in options.values()]
    table = pd.DataFrame(records, pd.Index(options, name="method"), ["plugin", "level", "rest"])
    return table[table["level"].ne(DEFAULT).groupby(table["plugin"]).transform("any")]


def varied(rows: pd.DataFrame, name: str) -> dict[str, int]:
    """The plugins in which the option differs, and in how many levels."""
    counts = levels(rows, name).groupby("plugin")["level"].nunique()
    return {str(plugin): int(count) for plugin, count in counts.items() if count > 1}


def families(rows: pd.DataFrame) -> list[Family]:
    """Every family of at least three entrants with an option that varies."""
    options = entries(rows)
    entrants = rows[[*KEY, "options"]].drop_duplicates().sort_values("method")
    plugin = entrants["method"].map({label: entry["method"] for label, entry in options.items()}).rename("plugin")
    groups = [
        _family(key, group[group["budget"] == group["budget"].max()].drop_duplicates("options"), options)
        for key, group in entrants.groupby(["dataset", plugin, "unit", "budget_axis"])
    ]
    return [family for family in groups if family.factors and len(family.levels) >= LEAST_ENTRANTS]


def _family(key: tuple, entrants: pd.DataFrame, options: dict[str, dict]) -> Family:
    """The family of these entrants of one plugin, unit and budget, whether or not an option varies."""
    members = {label: options[label] for label in entrants["method"]}
    names = sorted({name for entry in members.values() for name in entry} - {"method"})
    texts = {name: [each.text for each in sorted({level(entry, name) for entry in members.values()})] for name in names}
    factors = {name: levels for name, levels in texts.items() if len(levels) > 1}
    fixed = {name: levels[0] for name, levels in texts.items() if len(levels) == 1}
    table = pd.DataFrame(
        [[level(entry, name).text for name in factors] for entry in members.values()],
        index=pd.Index(members, name="method"),
        columns=[*factors],
    )
    dataset, plugin, unit, axis = key
    return Family(dataset, plugin, unit, axis, entrants["budget"].iloc[0], factors, fixed, table)


def crowds(rows: pd.DataFrame) -> list[Family]:
    """The large families."""
    return [family for family in families(rows) if len(family.levels) > CROWD]


def between(rows: pd.DataFrame, ranking: pd.DataFrame) -> list[str]:
    """The labels of large families, without the best and the worst ranked; all budgets of a label go together.

    Only labels that `vary` made, which have a point, are among them. Labels that somebody chose stay in the tables.

    Args:
        ranking: the rows of one contest of a leaderboard, best first.
    """
    inner: list[str] = []
    for family in crowds(rows):
        labels = ranking.loc[(ranking["budget"] == family.budget) & ranking["rank"].notna(), "method"]
        ranked = labels[labels.isin(family.levels.index)].tolist()
        if ranked:
            ends = (ranked[0], ranked[-1])
            inner += [label for label in family.levels.index if "." in label and label not in ends]
    return inner
