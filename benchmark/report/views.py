"""All views of a run: the page, the picture of the README, and the picture of an ablation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmark.report.ablation_picture import ablation_figure
from benchmark.report.page import write_report
from benchmark.report.picture import readme_figure
from benchmark.report.words import same_donor
from benchmark.stats.ablation import means
from benchmark.stats.contests import leading, select
from benchmark.stats.grids import grids
from benchmark.stats.options import between


def write_views(
    rows: pd.DataFrame,
    board: pd.DataFrame,
    predictions: pd.DataFrame,
    curves: pd.DataFrame,
    manifest: Mapping,
    folder: Path,
    ablation: bool,
) -> None:
    """Write `report.html`, `overview.png` and, if asked for, `ablation.png` into a folder.

    Args:
        rows: score rows.
        board: `leaderboard(rows)`.
        predictions: slide, donor, y, x, label, method, budget, prediction, one row per spot and entrant.
        curves: the courses of the trainings, see `benchmark.core.curves`.
        manifest: what made the rows; `folds` says which donors are on both sides.
        ablation: whether the run varies settings, so that the workflow expects the picture of them.
    """
    inner = between(rows, select(board, leading(board)[1]))
    brief = board[~board["method"].isin(inner)]  # the picture has room for the best and the worst of a large grid
    readme_figure(brief, predictions, folder / "overview.png", bool(same_donor(manifest["folds"])))
    if ablation:
        families = grids(rows)
        ablation_figure(families, means(families), folder / "ablation.png")
    write_report(rows, board, predictions, curves, manifest, folder / "report.html")
