"""The page of a dataset: what it is, its slides as the runs have drawn them, its tables, and the runs behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from benchmark.core.scores import status_line
from benchmark.report.filled import filled
from benchmark.report.maps import colours, slides
from benchmark.report.site_names import method_page, run_folder
from benchmark.report.summary import board_rows
from benchmark.report.words import contest_title, metric_of, same_donor
from benchmark.stats.contests import Contest, leading, select
from benchmark.stats.rows import arms

FACTS = ("title", "licence", "source", "citation")  # of a dataset, as manifests have them
MOST_PANELS = 5  # of methods that a slide is drawn for
MISSING = "not recorded"


class Kept(NamedTuple):
    """A run as the site shows it.

    Attributes:
        name: its folder, below the folder that was given.
        rows: its score rows, as they are in the folder.
        board: `leaderboard(rows)`.
        maps: labels and predictions of its slides; None if it kept none.
        curves: the courses of its trainings.
        manifest: what made it.
        scores: "verified", or "self-reported".
        picture: whether the site has its overview as a picture.
    """

    name: str
    rows: pd.DataFrame
    board: pd.DataFrame
    maps: pd.DataFrame | None
    curves: pd.DataFrame
    manifest: Mapping[str, Any]
    scores: str
    picture: bool


def dataset_html(
    dataset: str,
    tables: Mapping[str, Sequence[Kept]],
    rows: pd.DataFrame,
    board: pd.DataFrame,
    contests: Sequence[Contest],
    plugins: Mapping[str, str],
) -> str:
    """The page as HTML.

    Args:
        tables: name of a table → the runs that it holds.
        rows: the score rows of these tables.
        board: the leaderboard of all tables, as `boards` makes it.
        plugins: name of an entrant → the plugin whose page tells of it.
    """
    runs = list(dict.fromkeys(run.name for kept in tables.values() for run in kept))
    by_name = {run.name: run for kept in tables.values() for run in kept}
    page = {
        "up": "../",
        "title": dataset,
        "facts": _facts(dataset, [by_name[name] for name in runs]),
        "tables": [
            _table(name, kept, rows[rows["dataset"] == name], board, contests, plugins) for name, kept in tables.items()
        ],
        "runs": [_run(by_name[name]) for name in runs],
        "drawn": _drawn([by_name[name] for name in runs]),
    }
    return filled("site_dataset.html", page)


def _facts(dataset: str, runs: Sequence[Kept]) -> dict[str, str]:
    """Title, licence, source and citation: those of the run whose corpus is this dataset alone, where there is one."""
    told = sorted((run.manifest.get("data", {}) for run in runs), key=lambda data: data.get("name") != dataset)
    return {name: str(next((data[name] for data in told if data.get(name)), MISSING)) for name in FACTS}


def _table(
    name: str,
    kept: Sequence[Kept],
    rows: pd.DataFrame,
    board: pd.DataFrame,
    contests: Sequence[Contest],
    plugins: Mapping[str, str],
) -> dict[str, Any]:
    """One table: its size, its ids, and the leaderboard of each contest."""
    here = board[board["dataset"] == name]
    boards = []
    for contest in contests:
        part = select(here, contest)
        if part["value"].notna().any():
            shown = part[part["status"] != "not applicable"]
            links = [{"link": "../" + method_page(plugins[label])} for label in shown["method"]]
            entries = [row | link for row, link in zip(board_rows(part), links, strict=True)]
            protocol = part["protocol"].iloc[0]
            boards.append(
                {"title": contest_title(contest), "metric": metric_of(contest), "rows": entries, "protocol": protocol}
            )
    return {
        "name": name,
        "donors": _n_donors(rows),
        "data": rows["data"].iloc[0],
        "runs": [{"name": run.name, "link": f"../{run_folder(run.name)}/report.html"} for run in kept],
        "boards": boards,
    }


def _run(run: Kept) -> dict[str, Any]:
    data = run.manifest.get("data", {})
    numbers = {name: f"{data[name]:,}" if name in data else MISSING for name in ("slides", "spots", "genes")}
    return {
        "name": run.name,
        "folder": f"../{run_folder(run.name)}",
        "corpus": data.get("name", MISSING),
        "data": data.get("sha256", MISSING),
        "donors": _n_donors(run.rows),
        **numbers,
        "arms": status_line(arms(run.rows)),
        "note": same_donor(run.manifest.get("folds", {})),
        "scores": run.scores,
        "commit": str(run.manifest.get("code", {}).get("commit") or MISSING)[:12],
    }


def _n_donors(rows: pd.DataFrame) -> int | str:
    return int(rows.loc[rows["donor"] != "pooled", "donor"].nunique()) or MISSING


def _drawn(runs: Sequence[Kept]) -> list[dict[str, Any]]:
    """For each run that kept predictions, the slide with the most labels; for each other, its picture if it has one."""
    parts = []
    for run in runs:
        if run.maps is not None and len(run.maps):
            most = run.maps.groupby("slide")["label"].count().idxmax()
            spots = run.maps[run.maps["slide"] == most]
            best = select(run.board, leading(run.board)[1]).drop_duplicates("method").head(MOST_PANELS)
            parts.append(
                {
                    "run": run.name,
                    "slide": slides(spots, best)[0],
                    "colours": colours(spots),
                    "folder": run_folder(run.name),
                }
            )
        elif run.picture:
            parts.append({"run": run.name, "slide": None, "folder": run_folder(run.name)})
    return parts
