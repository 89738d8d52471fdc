"""Finished runs → one summary: a page that opens from disk, a picture, and tables as CSV."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, write_text
from benchmark.core.scores import read_table, status_line, write_table
from benchmark.core.verified import SCORES, verdict
from benchmark.report.filled import filled
from benchmark.report.summary_picture import summary_figure
from benchmark.report.tables import counted, entrant, with_interval
from benchmark.report.words import contest_title, metric_of, same_donor
from benchmark.stats.contests import Contest, select
from benchmark.stats.names import si
from benchmark.stats.rows import arms
from benchmark.stats.summary import gather
from benchmark.stats.summary_ranks import Ranks, ranks
from benchmark.stats.summary_tables import boards, contests, missing, standings


class Summary(NamedTuple):
    """What all runs together say.

    Attributes:
        status: how many arms were expected, finished, failed and not applicable, of all runs.
        runs: of each run: run, datasets, data, arms, commit, scores, note.
        board: the leaderboard of each dataset; see `boards`.
        standings: of each contest, its entrants by mean rank.
        ranks: of each contest, None where too few entrants have every score.
        missing: who lacks what.
        twice: scores that two runs have; see `gather`.
    """

    status: str
    runs: list[dict[str, Any]]
    board: pd.DataFrame
    standings: dict[Contest, pd.DataFrame]
    ranks: dict[Contest, Ranks | None]
    missing: pd.DataFrame
    twice: pd.DataFrame


def write_summary(folders: Sequence[Path], out: Path) -> Summary:
    """Write `summary.html`, `summary.png`, `summary.csv` (ranks), `datasets.csv` and `missing.csv` into a folder.

    Args:
        folders: of finished runs, each with `scores.parquet` and `manifest.json`.

    Raises:
        UnitBenchError: a folder is no finished run, or the runs do not compare.
    """
    found = summarise(folders)
    write_table(out / "summary.csv", pd.concat(found.standings.values(), ignore_index=True))
    write_table(out / "datasets.csv", found.board)
    write_table(out / "missing.csv", found.missing)
    picture = summary_figure(found.board, found.standings, found.ranks, out / "summary.png")
    write_text(out / "summary.html", _page(found, picture))
    return found


def summarise(folders: Sequence[Path]) -> Summary:
    """Read the runs. Raises UnitBenchError as `write_summary` does."""
    if again := [folder for number, folder in enumerate(folders) if folder in folders[:number]]:
        raise UnitBenchError(again[0], "given twice", "give each folder once")
    tables, runs = {}, []
    for folder in folders:
        rows = tables[str(folder)] = read_table(folder / SCORES)
        manifest = read_json(folder / "manifest.json", dict, {"code": dict, "folds": dict})
        runs.append(
            {
                "run": str(folder),
                "datasets": ", ".join(rows["dataset"].unique()),
                "data": ", ".join(rows["data"].unique()),
                "arms": status_line(arms(rows)),
                "commit": str(manifest["code"].get("commit") or "")[:12],
                "scores": verdict(folder) or "self-reported",
                "note": same_donor(manifest["folds"]),
            }
        )
    rows, twice = gather(tables)
    found = {contest: ranks(rows, contest) for contest in contests(rows)}
    if not found:
        raise UnitBenchError(folders[0], "no task has its first key score", "give runs with scores")
    board = boards(rows)
    places = {contest: standings(board, contest, of) for contest, of in found.items()}
    return Summary(status_line(arms(rows)), runs, board, places, found, missing(board), twice)


def _page(found: Summary, picture: Path) -> str:
    """The page as HTML, with the picture in it."""
    lacking = found.missing[found.missing["status"] != "not applicable"]
    page = {
        "status": found.status,
        "failed": " 0 failed" not in found.status,
        "datasets": sorted(found.board["dataset"].unique()),
        "runs": found.runs,
        "sections": [_section(found, contest) for contest in found.standings],
        "missing": [entrant(row) | row.to_dict() for _, row in lacking.iterrows()],
        "unable": _unable(found.missing),
        "twice": found.twice.to_dict("records"),
        "picture": base64.b64encode(picture.read_bytes()).decode(),
        "plots": {},
        "plotly": "",
    }
    return filled("summary.html", page)


def _section(found: Summary, contest: Contest) -> dict[str, Any]:
    """One contest: who stands where over all datasets, and the table of each dataset."""
    ranked, table = found.ranks[contest], found.standings[contest]
    board = select(found.board, contest)
    return {
        "title": contest_title(contest),
        "metric": metric_of(contest),
        "ranked": ranked,
        "n_datasets": board["dataset"].nunique(),
        "rows": [entrant(row) | _standing(row) for _, row in table.iterrows()],
        "tables": [
            {
                "dataset": dataset,
                "data": part["data"].iloc[0],
                "protocol": part["protocol"].iloc[0],
                "rows": board_rows(part),
            }
            for dataset, part in board.groupby("dataset")
        ],
    }


def _standing(row: pd.Series) -> dict[str, Any]:
    """The numbers of a row of `standings`; None where it has no rank."""
    numbers = {name: None if pd.isna(row[name]) else float(row[name]) for name in ("mean_rank", "elo", "low", "high")}
    return numbers | {"n_datasets": int(row["n_datasets"])}


def board_rows(board: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of one dataset: those that the task applies to."""
    return [
        entrant(row) | with_interval(row) | counted(row) | {"flops": _flops(row["flops"]), "front": bool(row["front"])}
        for _, row in board[board["status"] != "not applicable"].iterrows()
    ]


def _flops(value: float) -> tuple[float | None, str]:
    return (None, "not counted") if pd.isna(value) else (value, si(value).strip())


def _unable(lacking: pd.DataFrame) -> dict[str, str]:
    """For each task, the names of those that it does not apply to."""
    of_task = lacking[lacking["status"] == "not applicable"].groupby("task")["name"]
    return {str(task): ", ".join(sorted(set(names))) for task, names in of_task}
