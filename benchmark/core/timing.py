"""Where a run's time goes: what its jobs took in all, and how much of that was training and scoring."""

from __future__ import annotations

import builtins
import csv
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

PARTS = {"start-up and files": ("pretrain", "score"), "preparing": ("prepare", "check")}
REST = "tables and report"


class Work:
    """Seconds spent inside `with WORK:`, without the imports that happen there for the first time.

    Imports are put off to where they are needed, so that no process pays for those of another; they are start-up all
    the same. What a method reads of its slides is part of its work. Not to be nested, and for one thread.
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
    """Seconds of each job and of its work, as Snakemake (`<step>.<job>.tsv`) and the job itself (`.json`) left them.

    A job that Snakemake has not run is left out.
    """
    total, work = {}, {}
    for job in jobs:
        whole, own = (folder / f"{job}{suffix}" for suffix in (".tsv", ".json"))
        if whole.exists():
            with open(whole, encoding="utf-8") as file:
                total[job] = sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
            work[job] = json.loads(own.read_text(encoding="utf-8")) if own.exists() else 0.0
    return total, work


def time_line(total: Mapping[str, float], work: Mapping[str, float]) -> str:
    """One line: core-seconds of all jobs (each has one core), the share that trained and scored, and the others'.

    Args:
        total: seconds of each job, from the start of its process to its end, by "<step>" or "<step>.<job>".
        work: of these, the seconds of training and scoring.
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
