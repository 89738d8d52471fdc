"""The end of a run: the leaderboard on the terminal, and which arms failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.core.reasons import read_reason
from benchmark.core.scores import status_line
from benchmark.core.timing import read_times, time_line
from benchmark.experiment.written import views_of, written
from benchmark.report.terminal import print_board
from benchmark.report.words import same_donor
from benchmark.stats.rows import arms

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.experiment.layout import Run


def show(run: Run, console: Console) -> int:
    """Print the leaderboard, how many arms failed and why, where the time went, and where the files are.

    Returns:
        How many arms failed.
    """
    tables = written(run)
    views, all_arms, manifest = views_of(run, tables), arms_of_run(tables.rows), tables.manifest
    failed = all_arms[all_arms["status"] == "failed"]
    for part in views.values():
        if len(views) > 1:
            console.print(part.rows["dataset"].iloc[0], highlight=False, markup=False, style="bold")
        print_board(part.board, console)
    if warning := same_donor(manifest["folds"]):
        console.print(warning, highlight=False, soft_wrap=True, style="yellow")
    console.print(status_line(all_arms), highlight=False, style="bold red" if len(failed) else "bold")
    if "scores" in manifest:
        console.print(f"scores: {manifest['scores']}", highlight=False)
    total, work = read_times(run.times, run.steps)
    if len(total) == len(run.steps):  # a step that was done by hand has no time
        console.print(time_line(total, work), highlight=False, soft_wrap=True)
    for line in failure_lines(failed, run.results):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    if len(failed):
        again = f"unitbench pretrain {run.arguments}"
        line = f"  Failed arms are tried again by: {again}; then run again"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for what, path in (
        *(("report", folder / "report.html") for folder in views),
        ("tables", f"{run.results}/leaderboard.csv, leakage.csv, scores.csv, scores.parquet, curves.parquet"),
        ("MLflow", f"make board CONFIG={run.path}"),
    ):
        console.print(f"  {what}  {path}", highlight=False, markup=False, soft_wrap=True)
    return len(failed)


def arms_of_run(rows: pd.DataFrame) -> pd.DataFrame:
    """The arms of one run: one that is tested on two datasets is counted once."""
    return arms(rows).drop_duplicates(["method", "options", "budget_axis", "budget", "fold", "seed"])


def failure_lines(failed: pd.DataFrame, results: Path) -> Iterator[str]:
    """Failed arms, one line for each method and cause, with the path of one traceback.

    Args:
        failed: one row an arm, with `method` and `reason`.
        results: the folder of the run's results, to which the paths in reasons are relative.
    """
    reasons = [read_reason(reason) for reason in failed["reason"]]
    failed = failed.assign(cause=[r.cause for r in reasons], traceback=[r.traceback for r in reasons])
    for (method, cause), group in failed.groupby(["method", "cause"]):
        path = min(group["traceback"])
        n_arms = f"{len(group)} arm{'s' * (len(group) > 1)}"
        yield f"failed: {method}, {n_arms}: {cause}" + (f"; traceback: {results / path}" if path else "")
