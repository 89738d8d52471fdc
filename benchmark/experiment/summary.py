"""What a run came to: its tables read back, the leaderboard on the terminal, and how many arms failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json
from benchmark.core.scores import read_table, status_line
from benchmark.core.timing import read_times, time_line
from benchmark.report.terminal import print_board
from benchmark.report.words import same_donor
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.rows import arms

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.experiment.layout import Run


def written(run: Run) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict]:
    """Score rows, leaderboard, maps and manifest, as the rule `leaderboard` has left them.

    Raises:
        UnitBenchError: there is none yet.
    """
    if not (run.results / "manifest.json").exists():
        raise UnitBenchError(run.results / "manifest.json", "file not found", f"make run CONFIG={run.path} first")
    rows, maps = read_table(run.results / "scores.parquet"), pd.read_parquet(run.results / "maps.parquet")
    return rows, leaderboard(rows), maps, read_json(run.results / "manifest.json")


def tell(run: Run, console: Console) -> int:
    """Print the leaderboard, how many arms failed and why, where the time went, and where the files are.

    Returns:
        How many arms failed.
    """
    rows, board, _, about = written(run)
    every = arms(rows)
    failed = every[every["status"] == "failed"]
    print_board(board, console)
    if warning := same_donor(about["folds"]):
        console.print(warning, highlight=False, soft_wrap=True, style="yellow")
    console.print(status_line(every), highlight=False, style="bold red" if len(failed) else "bold")
    total, work = read_times(run.times, run.steps)
    if len(total) == len(run.steps):  # a step that was done by hand has no time
        console.print(time_line(total, work), highlight=False, soft_wrap=True)
    for (method, reason), its in failed.groupby(["method", "reason"]):
        console.print(f"  failed: {method}, {len(its)} arms: {reason}", highlight=False, markup=False, soft_wrap=True)
    if len(failed):
        again = f"unitbench pretrain --config {run.path} --results {run.results.parent}"
        console.print(f"  Failed arms are tried again by: {again}; then run again", highlight=False, soft_wrap=True)
    for what, where in (
        ("report", run.results / "report.html"),
        ("tables", f"{run.results}/leaderboard.csv, leakage.csv, scores.csv, scores.parquet"),
        ("MLflow", f"make board CONFIG={run.path}"),
    ):
        console.print(f"  {what}  {where}", highlight=False, soft_wrap=True)
    return len(failed)
