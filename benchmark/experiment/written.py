"""The tables of a finished run, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from benchmark.core.curves import COLUMNS
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, read_parquet
from benchmark.core.scores import read_table
from benchmark.core.verified import verdict
from benchmark.stats.leaderboard import leaderboard

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run


class Written(NamedTuple):
    """The tables of a run: see `benchmark.experiment.tables`."""

    rows: pd.DataFrame
    board: pd.DataFrame
    maps: pd.DataFrame
    curves: pd.DataFrame
    manifest: dict


def written(run: Run) -> Written:
    """The tables, as the rule `leaderboard` has written them. Where `unitbench verify` was run, the manifest says under
    `scores` what it found.

    Raises:
        UnitBenchError: it has not run yet.
    """
    if not (run.results / "manifest.json").exists():
        raise UnitBenchError(run.results / "manifest.json", "file not found", f"make run CONFIG={run.path} first")
    rows = read_table(run.results / "scores.parquet")
    maps = read_parquet(run.results / "maps.parquet")
    curves = read_parquet(run.results / "curves.parquet", COLUMNS)
    made_by = read_json(run.results / "manifest.json", dict, {"folds": dict})
    if found := verdict(run.results):
        made_by["scores"] = found
    return Written(rows, leaderboard(rows), maps, curves, made_by)
