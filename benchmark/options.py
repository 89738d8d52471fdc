"""What each label of a run was configured with, read back from its score rows: families and their factors."""

from __future__ import annotations

import json

import pandas as pd

from benchmark.grid import DEFAULT
from benchmark.leaderboard import Contest, cells, scores, select


def entries(rows: pd.DataFrame) -> dict[str, dict]:
    """Label → its options, with the name of the plugin as "method"."""
    known = rows.drop_duplicates("method")
    return {
        label: {"method": label} | json.loads(text)
        for label, text in known[["method", "options"]].itertuples(index=False)
    }


def rest(options: dict, name: str) -> str:
    """The options without one. Labels that agree in it differ in nothing but that option."""
    return json.dumps({key: value for key, value in options.items() if key != name}, sort_keys=True)


def levels(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row a label that has the option `name` or whose family varies it: its `level`, and the `rest` of its options.

    A family is the labels of one plugin.
    """
    found = {}
    for label, options in entries(rows).items():
        found[label] = (options["method"], options.get(name, DEFAULT), rest(options, name))
    table = pd.DataFrame.from_dict(found, orient="index", columns=["family", "level", "rest"])
    has = table["level"].ne(DEFAULT).groupby(table["family"]).transform("any")
    return table[has].rename_axis("method")


def varied(rows: pd.DataFrame, name: str) -> list[str]:
    """The families in which the option differs."""
    counts = levels(rows, name).groupby("family")["level"].nunique()
    return sorted(counts.index[counts > 1])


def by_level(rows: pd.DataFrame, family: str, name: str, contest: Contest) -> tuple[float, dict[str, pd.DataFrame]]:
    """The largest budget of a family, and there the scores of each level of an option: a row a donor, a column a seed.

    Each is a mean over the settings of all other options that every level was scored with, so that levels differ in
    nothing else.
    """
    known = levels(rows, name)
    known = known[known["family"] == family]
    its = rows[rows["method"].isin(known.index)]
    budget = float(its["budget"].max())
    table = cells(select(scores(its[its["budget"] == budget]), contest)).reset_index(["method", "block"])
    table = table.join(known[["level", "rest"]].astype(str), on="method")
    complete = table.groupby("rest")["level"].nunique() == table["level"].nunique()
    table = table[table["rest"].map(complete).eq(True)].drop(columns=["method", "rest"])
    return budget, {level: part.groupby("block").mean() for level, part in table.set_index("level").groupby("level")}
