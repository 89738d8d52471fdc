"""The tables of a run: all score rows gathered, and what is made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from benchmark.core.curves import curve_table
from benchmark.core.files import read_parquet, write_json
from benchmark.core.scores import read_rows, write_table
from benchmark.data.corpus import open_corpus
from benchmark.experiment.manifest import manifest
from benchmark.experiment.maps import NO_MAP
from benchmark.experiment.records import read_records
from benchmark.experiment.rows import arm_rows
from benchmark.stats import ablation
from benchmark.stats.grids import grids
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.leakage import leakage

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run


def write_tables(run: Run) -> None:
    """Write `run.tables`: score rows, curves, maps, leaderboard, leakage, ablation where options vary, manifest."""
    rows = read_rows(run.scores(job) for job in run.jobs)
    maps = pd.concat([read_parquet(run.maps(job), NO_MAP.columns) for job in run.jobs], ignore_index=True)
    for suffix in (".parquet", ".csv"):
        write_table(run.results / f"scores{suffix}", rows)
    records = (record for job in run.jobs for record in read_records(run, job))
    arms = arm_rows(run.config, open_corpus(run.corpus), records)
    write_table(run.results / "curves.parquet", curve_table(point for arm in arms for point in arm.curve()))
    write_table(run.results / "maps.parquet", maps)
    write_table(run.results / "leaderboard.csv", leaderboard(rows))
    write_table(run.results / "leakage.csv", leakage(rows))
    if run.varied:
        settings = grids(rows)
        write_table(run.results / "ablation.csv", ablation.means(settings))
        write_table(run.results / "effects.csv", ablation.effects(settings))
    write_json(run.results / "manifest.json", manifest(run))
