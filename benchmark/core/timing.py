"""How much time the jobs of a run took, and how much of it was training and scoring."""

from __future__ import annotations

import builtins
import csv
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from benchmark.core.files import checked, read_json

PARTS = {"start-up and files": ("pretrain", "score"), "preparing": ("prepare", "check")}
REST = "tables and report"


class Work:
    """Seconds spent inside `with WORK:`, without first imports.

    Modules are imported where they are needed, so that each process imports only its own. That time is start-up, not
    work. The time that a method takes to read its slides is part of its work. Do not nest; one thread only.
    """

    def __init__(self):
        self.seconds = 0.0
        self._depth = 0

    def __enter__(self) -> None:
        self._import = builtins.__import__
        builtins.__import__ = self._timed_import
        self.seconds -= time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter()
        builtins.__import__ = self._import

    def _timed_import(self, *what, **how):
        self._depth += 1
        start = time.perf_counter()
        try:
            return self._import(*what, **how)
        finally:
            self._depth -= 1
            if not self._depth:  # imports inside this one are part of it
                self.seconds -= time.perf_counter() - start


WORK = Work()  # of this process


def read_times(folder: Path, jobs: Iterable[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each job, and seconds of its work.

    Snakemake writes the first to `<step>.<job>.tsv`, the job itself the second to `<step>.<job>.json`. Jobs that
    Snakemake has not run are left out.

    Args:
        jobs: "<step>" or "<step>.<job>".
    """
    total, work = {}, {}
    for job in jobs:
        of_job, of_work = (folder / f"{job}{suffix}" for suffix in (".tsv", ".json"))
        if of_job.exists():
            total[job] = checked(partial(_seconds, of_job), of_job, "delete it")
            work[job] = read_json(of_work, float) if of_work.exists() else 0.0
    return total, work


def _seconds(path: Path) -> float:
    """The column `s` of a file by Snakemake."""
    with open(path, encoding="utf-8") as file:
        return sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))


def time_line(total: Mapping[str, float], work: Mapping[str, float]) -> str:
    """One line: core-seconds of all jobs (each has one core), and the shares of training and scoring and of the rest.

    Args:
        total: seconds of each job, from the start of the process to its end, by "<step>" or "<step>.<job>".
        work: how many of these seconds were training and scoring.
    """
    everything, working = sum(total.values()), sum(work.values())
    outside = dict.fromkeys((*PARTS, REST), 0.0)
    for job, seconds in total.items():
        step = job.split(".")[0]
        part = next((part for part, steps in PARTS.items() if step in steps), REST)
        outside[part] += seconds - work.get(job, 0.0)
    shares = ", ".join(f"{part} {seconds / everything:.1%}" for part, seconds in outside.items())
    return (
        f"time: {everything:.0f} core-seconds, {working / everything:.1%} of it training and scoring "
        f"({1 - working / everything:.1%} outside: {shares})"
    )
