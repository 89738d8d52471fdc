"""The records of a job's arms, as `pretrain` has written them, read back with care."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run

KEYS = {"method", "fold", "amount", "seed", "unit", "key", "status", "reason", "seen"}


def read_records(run: Run, job: str) -> list[dict]:
    """The record of each arm of a job.

    Raises:
        UnitBenchError: no file, a damaged one, or one that lacks an arm of the job.
    """
    path, again = run.arms(job), "delete it and run again"
    records = read_json(path, list)
    if not all(isinstance(record, dict) and record.keys() >= KEYS for record in records):
        raise UnitBenchError(path, "damaged: holds more than records of arms", again)
    pairs = [(record["method"], record["fold"]) for record in records]
    if lost := [pair for pair in run.jobs[job] if pairs.count(pair) < len(run.config.seeds)]:
        raise UnitBenchError(path, f"lacks arms of {lost[0][0]!r} in {lost[0][1]}", again)
    return records
