"""The summary of many runs in MLflow: one MLflow run per method and budget, with its ranks and its score by dataset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.report.mlflow_board import About, Counts, write
from benchmark.report.mlflow_records import DIGITS
from benchmark.report.summary import Summary
from benchmark.stats.contests import select
from benchmark.stats.names import budget_label
from benchmark.stats.rows import ENTRANT, Entrant

NOTE = """A row is a method with a budget, over all data sets that the summary was given.

- The first column is its mean rank by the headline score: the smallest is the best. A method without a rank lacks a
  score that others have; the summary's page names it.
- Other columns are scores by data set; nothing is averaged over data sets.
"""


def track_summary(found: Summary, out: Path, experiment: str = "summary") -> Counts:
    """Write a summary into `out`/mlflow.db, or to the server that MLFLOW_TRACKING_URI names.

    Raises:
        UnitBenchError: as `benchmark.report.mlflow_board.track`.
    """
    files = [out / name for name in ("summary.html", "summary.png")]
    return write(summary_records(found), True, out / "mlflow.db", experiment, About(NOTE, {}, files))


def summary_records(found: Summary) -> dict[str, dict]:
    """Key → what its MLflow run holds; see `mlflow_records`. The ranks of a contest come before its scores."""
    records: dict[str, dict] = {}
    for number, (contest, table) in enumerate(found.standings.items(), 1):
        named = f"{contest.task} {contest.setting} {contest.metric}"
        for _, row in table.iterrows():
            entrant = Entrant._make(row[key] for key in ENTRANT)
            record = records.setdefault("/".join(map(str, entrant)), _empty(row["name"], entrant))
            if pd.notna(row["mean_rank"]):
                record["metrics"][f"{number:02} rank {named}"] = round(float(row["mean_rank"]), DIGITS)
        for _, row in select(found.board, contest).dropna(subset="value").iterrows():
            entrant = Entrant._make(row[key] for key in ENTRANT)
            record = records.setdefault("/".join(map(str, entrant)), _empty(row["name"], entrant))
            record["metrics"][f"{number:02} {row['dataset']} {named}"] = round(float(row["value"]), DIGITS)
    return records


def _empty(name: str, entrant: Entrant) -> dict:
    budget = budget_label(entrant.budget_axis, entrant.budget, entrant.unit)
    params = {"method": name, "unit": entrant.unit, "budget": budget}
    shown = f"{name}, {budget}" if entrant.unit != "none" and entrant.budget else name
    return {"name": shown, "params": params, "metrics": {}, "courses": {}, "data": {}, "status": "ok"}
