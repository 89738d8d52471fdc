"""The tables of a finished run, read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from benchmark.core.curves import COLUMNS
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, read_parquet
from benchmark.core.scores import read_table
from benchmark.core.verified import verdict
from benchmark.report.site_names import file_name
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


def by_dataset(tables: Written) -> dict[str, Written]:
    """The tables of each dataset that is scored. Scores of two are never in one ranking, so each has its own views."""
    rows, board, maps, curves, manifest = tables
    found = {}
    for dataset in rows["dataset"].unique():
        own = rows[rows["dataset"] == dataset]
        of_slides = maps[maps["slide"].isin(own["slide"].unique())]
        of_board, of_curves = (table[table["dataset"] == dataset] for table in (board, curves))
        about = manifest | {"folds": _folds_of(manifest["folds"], set(own["donor"]))}
        found[str(dataset)] = Written(own, of_board, of_slides, of_curves, about)
    return found


def _folds_of(folds: Mapping[str, Mapping], donors: set[str]) -> dict[str, dict]:
    """The folds, with those of the `donors` that are on both sides."""
    shared = {name: [donor for donor in fold["shared"]["donors"] if donor in donors] for name, fold in folds.items()}
    return {name: {**fold, "shared": {**fold["shared"], "donors": shared[name]}} for name, fold in folds.items()}


def views_of(run: Run, tables: Written) -> dict[Path, Written]:
    """By the folder of its views, the tables of each dataset: the run's own for the first, and one below `datasets`
    for each other."""
    first, *others = (parts := by_dataset(tables))
    return {run.results: parts[first]} | {run.results / "datasets" / file_name(name): parts[name] for name in others}
