"""The options that entrants differ in, read back from score rows: which of them vary, in which levels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

DEFAULT = "default"  # the level of an option that an entry leaves to its method
LEAST_ENTRANTS = 3
CROWD = 12  # a family of more entrants is shown by its best and its worst where every entrant has a line
KEY = ["dataset", "method", "unit", "budget_axis", "budget"]


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


class Level(NamedTuple):
    """Sorted, the levels of an option stand in their natural order."""

    kind: int
    number: float
    text: str


def entries(rows: pd.DataFrame) -> dict[str, dict]:
    """Label → its options, with the name of the plugin as "method"."""
    known = rows.drop_duplicates("method")[["method", "options"]]
    return {label: {"method": label} | json.loads(text) for label, text in known.itertuples(index=False)}


def level(options: dict, name: str) -> Level:
    if name not in options:
        return Level(0, 0, DEFAULT)
    value = options[name]
    if value is None:
        return Level(3, 0, "null")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Level(1, value, f"{value:.15g}")
    return Level(2, 0, value if isinstance(value, str) else json.dumps(value))


def rest(options: dict, name: str) -> str:
    """The options without one. Labels that agree in it differ in nothing but that option."""
    return json.dumps({key: value for key, value in options.items() if key != name}, sort_keys=True)


def levels(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row a label of the plugins that are given the option anywhere: `plugin`, `level`, `rest` of its options."""
    known = entries(rows)
    records = [(its["method"], level(its, name).text, rest(its, name)) for its in known.values()]
    table = pd.DataFrame(records, pd.Index(known, name="method"), ["plugin", "level", "rest"])
    return table[table["level"].ne(DEFAULT).groupby(table["plugin"]).transform("any")]


def varied(rows: pd.DataFrame, name: str) -> dict[str, int]:
    """The plugins in which the option differs, and in how many levels."""
    counts = levels(rows, name).groupby("plugin")["level"].nunique()
    return counts[counts > 1].to_dict()


def families(rows: pd.DataFrame) -> list[Family]:
    """Every family of at least three entrants with an option that varies."""
    options = entries(rows)
    entrants = rows[[*KEY, "options"]].drop_duplicates().sort_values("method")
    plugin = entrants["method"].map({label: its["method"] for label, its in options.items()}).rename("plugin")
    found = []
    for key, its in entrants.groupby(["dataset", plugin, "unit", "budget_axis"]):
        its = its[its["budget"] == its["budget"].max()].drop_duplicates("options")
        own = {label: options[label] for label in its["method"]}
        names = sorted({name for entry in own.values() for name in entry} - {"method"})
        told = {name: [each.text for each in sorted({level(entry, name) for entry in own.values()})] for name in names}
        factors = {name: texts for name, texts in told.items() if len(texts) > 1}
        fixed = {name: texts[0] for name, texts in told.items() if len(texts) == 1}
        if factors and len(own) >= LEAST_ENTRANTS:
            table = [[level(entry, name).text for name in factors] for entry in own.values()]
            table = pd.DataFrame(table, pd.Index(own, name="method"), [*factors])
            found.append(Family(*key, its["budget"].iloc[0], factors, fixed, table))
    return found


def crowds(rows: pd.DataFrame) -> list[Family]:
    """The large families."""
    return [family for family in families(rows) if len(family.levels) > CROWD]


def between(rows: pd.DataFrame, ranking: pd.DataFrame) -> list[str]:
    """The labels of large families but for the best and the worst of each; all budgets of a label go together.

    Labels that somebody chose stay: those that `vary` makes have a point.

    Args:
        ranking: the rows of one contest of a leaderboard, best first.
    """
    inner = []
    for family in crowds(rows):
        ranked = ranking[(ranking["budget"] == family.budget) & ranking["value"].notna()]["method"]
        ranked = ranked[ranked.isin(family.levels.index)].tolist()
        if ranked:
            ends = (ranked[0], ranked[-1])
            inner += [label for label in family.levels.index if "." in label and label not in ends]
    return inner
