"""The summary of many runs in MLflow: one MLflow run per method and budget, with its ranks and its score by dataset."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pandas as pd

from benchmark.report.mlflow_board import About, Counts, write
from benchmark.report.mlflow_records import DIGITS
from benchmark.report.summary import Summary
from benchmark.stats.contests import key_contests, key_meanings, select
from benchmark.stats.names import budget_label
from benchmark.stats.rows import ENTRANT, Entrant

NOTE = """A row is a method with a budget, over all data sets that the summary was given.

- *Columns* are ordered: for each task the mean rank over data sets and donors, where the smallest is the best, then the
  score on each data set. Nothing is averaged over data sets. The table opens sorted by the first rank.
- A method without a rank lacks a score that others have; `summary.html` names it. That page, with its picture, is an
  artifact of the run "report and config".
- *Scores*: """


def track_summary(found: Summary, out: Path, experiment: str = "summary") -> Counts:
    """Write a summary into `out`/mlflow.db, or to the server that MLFLOW_TRACKING_URI names.

    Raises:
        UnitBenchError: as `benchmark.report.mlflow_board.track`.
    """
    files = [out / name for name in ("summary.html", "summary.png")]
    return write(
        summary_records(found), True, out / "mlflow.db", experiment, About(NOTE + key_meanings(found.board), {}, files)
    )


def summary_records(found: Summary) -> dict[str, dict]:
    """Key → what its MLflow run holds; see `mlflow_records`. MLflow shows metrics in the order of their names, so
    numbers put the rank of a contest before its scores."""
    records: dict[str, dict] = {}
    headings = {contest: heading for heading, contest in key_contests(found.board["task"].unique()).items()}
    number = count(1)
    for contest, table in found.standings.items():
        heading = headings.get(contest, f"{contest.setting} {contest.metric}")
        ranks = table.assign(value=table["mean_rank"], shown=f"{next(number):02} rank {heading}")
        scores = select(found.board, contest).dropna(subset="value")
        shown = {dataset: f"{next(number):02} {dataset} {heading}" for dataset in sorted(scores["dataset"].unique())}
        for _, row in pd.concat([ranks, scores.assign(shown=scores["dataset"].map(shown))]).iterrows():
            entrant = Entrant._make(row[key] for key in ENTRANT)
            record = records.setdefault("/".join(map(str, entrant)), _empty(row["name"], entrant))
            if pd.notna(row["value"]):
                record["metrics"][row["shown"]] = round(float(row["value"]), DIGITS)
    return records


def _empty(name: str, entrant: Entrant) -> dict:
    budget = budget_label(entrant.budget_axis, entrant.budget, entrant.unit)
    params = {"method": name, "unit": entrant.unit, "budget": budget}
    shown = f"{name}, {budget}" if entrant.unit != "none" and entrant.budget else name
    return {"name": shown, "params": params, "metrics": {}, "courses": {}, "data": {}, "status": "ok", "seconds": 0.0}
