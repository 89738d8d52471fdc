"""The page of a method: what it is, with which options it ran, where it wins and loses, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from benchmark.report.filled import filled
from benchmark.report.ledger import cost_table, costs
from benchmark.report.site_names import dataset_page
from benchmark.report.tables import entrant, with_interval
from benchmark.report.words import contest_title, full_name
from benchmark.stats.contests import CONTEST, Contest


class About(NamedTuple):
    """What is known of a plugin besides its scores.

    Attributes:
        text: its docstring; "" if it has none.
        fault: why it cannot be read here; "" if it can.
        versions: as the manifests have them.
        licence: of the plugin, as its distribution states it.
        defaults: option → default, as text.
    """

    text: str
    fault: str
    versions: list[str]
    licence: str
    defaults: dict[str, str]


def method_html(
    plugin: str, about: About, rows: pd.DataFrame, board: pd.DataFrame, plugins: Mapping[str, str], tissue: Mapping
) -> str:
    """The page as HTML.

    Args:
        rows: the score rows of the plugin's entrants.
        board: the leaderboard of all entrants, as `boards` makes it.
        plugins: name of an entrant → its plugin.
        tissue: table → dataset.
    """
    labels = rows.drop_duplicates(["method", "options"])
    told = [
        {"name": name, "options": _options(text), "run": ", ".join(sorted(part["run"].unique()))}
        for (name, text), part in rows.groupby(["method", "options"])
    ]
    page = {
        "up": "../",
        "title": plugin,
        "about": about,
        "unit": ", ".join(sorted(labels["unit"].unique())),
        "packages": sorted(set(rows.loc[rows["task"] == "arm", "note"]) - {""}),
        "entries": told,
        "standings": _standings(board, plugin, plugins, tissue),
        "costs": _costs(rows, tissue),
    }
    return filled("site_method.html", page)


def _options(text: str) -> str:
    """The options of an entry as "side=8, preset=tiny"; the name of the plugin is none of them."""
    return ", ".join(f"{key}={value}" for key, value in json.loads(text).items() if key != "method") or "defaults"


def _standings(board: pd.DataFrame, plugin: str, plugins: Mapping[str, str], tissue: Mapping) -> list[dict[str, Any]]:
    """Its best complete entrant in each contest and table, against the best complete entrant of all others."""
    records = []
    ranked = board[board["status"] == "ok"].sort_values("rank", kind="stable")
    own = ranked["method"].map(plugins) == plugin
    for _, part in ranked.groupby(CONTEST, sort=False):
        mine, others = part[own[part.index]], part[~own[part.index]]
        if mine.empty:
            continue
        best, contest = mine.iloc[0], Contest._make(part.iloc[0][list(Contest._fields)])
        ahead = None
        if len(others):
            sign = -1 if contest.lower_is_better else 1
            ahead = sign * float(best["value"] - others.iloc[0]["value"])
        records.append(
            entrant(best)
            | with_interval(best)
            | {
                "dataset": best["dataset"],
                "dataset_link": dataset_page(tissue[best["dataset"]]),
                "task": contest_title(contest),
                "place": (int(best["rank"]), len(part)),
                "other": full_name(others.iloc[0]) if len(others) else "nobody else",
                "ahead": ahead,
            }
        )
    return records


def _costs(rows: pd.DataFrame, tissue: Mapping) -> list[dict[str, Any]]:
    """The mean cost of an arm, a table for each table of scores."""
    parts = []
    for dataset, part in rows.groupby("dataset"):
        spent = costs(part)
        if len(spent):
            link = dataset_page(tissue[str(dataset)])
            parts.append({"dataset": dataset, "link": link} | cost_table(spent, part))
    return parts
