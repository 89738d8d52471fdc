"""What a job asks of a cluster: memory and minutes, from what jobs of its step took in earlier runs."""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run

MARGIN = 2.0  # times the most that was measured; doubled with each new attempt
LEAST = {"max_rss": 4000.0, "s": 1800.0}  # MB and seconds that are always asked
TRIES = 3  # of a job on a cluster, each with twice the memory and time, before an arm that ended its process has failed
UNMEASURED = {"max_rss": 32000.0, "s": 14400.0}  # asked where no job of the step has run


def memory(run: Run, step: str, wildcards: object, attempt: int) -> int:
    """MB that a job of a step asks; Snakemake calls this."""
    return math.ceil(_asked(run.times, step, "max_rss") * 2 ** (attempt - 1))


def minutes(run: Run, step: str, wildcards: object, attempt: int) -> int:
    """Minutes that a job of a step asks; Snakemake calls this."""
    return math.ceil(_asked(run.times, step, "s") * 2 ** (attempt - 1) / 60)


def told(attempt: int, remote: bool) -> int:
    """The attempt that `pretrain` is told of. From 2 on it gives up the arms that were begun: with the same memory and
    no end of the time, they would end their process again. On a cluster the next attempt has more of both.

    Args:
        remote: whether a cluster runs the job.
    """
    return max(1, attempt - TRIES + 1) if remote else attempt


@cache
def _asked(times: Path, step: str, column: str) -> float:
    """By the jobs of the step in this run's folder, else in those beside it."""
    for files in (times.glob(f"{step}*.tsv"), times.parents[1].glob(f"*/benchmarks/{step}*.tsv")):
        if found := [value for file in files for value in _values(file, column)]:
            return max(LEAST[column], MARGIN * max(found))
    return UNMEASURED[column]


def _values(file: Path, column: str) -> list[float]:
    """The numbers of a column of a file by Snakemake, which writes "-" or "NA" where it could not measure."""
    try:
        with open(file, encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
    except (OSError, UnicodeDecodeError):
        return []
    return [float(row[column]) for row in rows if (row.get(column) or "").replace(".", "", 1).isdigit()]
