"""The board of the site: for each task, every entrant by every table. A cell without a score says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.report.site_names import dataset_page, method_page
from benchmark.report.tables import entrant, with_interval
from benchmark.report.words import contest_title, metric_of
from benchmark.stats.contests import Contest, select
from benchmark.stats.rows import ENTRANT

NOT_RUN = "not run"


def sections(
    board: pd.DataFrame, contests: Sequence[Contest], plugins: Mapping[str, str], tissue: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One section for each contest.

    Args:
        board: as `boards` makes it.
        plugins: name of an entrant → the plugin whose page tells of it.
        tissue: table → dataset.
    """
    return [_section(select(board, contest), contest, plugins, tissue) for contest in contests]


def _section(
    here: pd.DataFrame, contest: Contest, plugins: Mapping[str, str], tissue: Mapping[str, str]
) -> dict[str, Any]:
    tables = sorted(here.dropna(subset="value")["dataset"].unique())
    here = here[here["dataset"].isin(tables) & (here["status"] != "not applicable")]
    rows = []
    for _, part in here.groupby(ENTRANT, sort=False):
        cells = {row["dataset"]: _cell(row) for _, row in part.iterrows()}
        about = entrant(part.iloc[0])
        about["link"] = method_page(plugins[about["method"]])
        n = sum(cell["value"] is not None for cell in cells.values())
        rows.append(about | {"cells": [cells.get(table, _empty(NOT_RUN)) for table in tables], "n": n})
    rows.sort(key=lambda row: (row["control"], -row["n"], row["name"], row["amount"]))
    return {
        "task": contest.task,
        "title": contest_title(contest),
        "metric": metric_of(contest),
        "tables": [{"name": table, "link": dataset_page(tissue[table])} for table in tables],
        "rows": rows,
    }


def _cell(row: pd.Series) -> dict[str, Any]:
    return _empty(str(row["status"])) if pd.isna(row["value"]) else with_interval(row) | {"status": row["status"]}


def _empty(status: str) -> dict[str, Any]:
    return {"value": None, "span": "", "incomplete": False, "status": status}


def choices(parts: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """What the filters offer, as (value, text): the tasks, the units and the budgets of `sections`."""
    rows = [row for part in parts for row in part["rows"]]
    budgets = {
        f"{row['amount']:g}": row["budget"] for row in sorted(rows, key=lambda row: row["amount"]) if row["amount"]
    }
    units = [unit for unit in ("spot", "patch", "slide", "none") if unit in {row["unit"] for row in rows}]
    return {
        "task": [(part["task"], part["title"]) for part in parts],
        "unit": [(unit, "no unit" if unit == "none" else unit) for unit in units],
        "budget": [*budgets.items()],
    }
