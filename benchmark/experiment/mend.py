"""Before a run is planned: results that were lost, or renewed by hand, are made known to Snakemake by their records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_json
from benchmark.data.corpus import is_whole
from benchmark.experiment.arms import arm_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.records import read_records

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run


DAMAGED = (UnitBenchError, AttributeError, KeyError, TypeError)


def mend(run: Run) -> None:
    """Remove each record that is damaged or whose files are gone: Snakemake runs its step again. Renew the records of
    arms that were fitted alone since: Snakemake scores them."""
    if not _is_whole(run):
        run.record.unlink(missing_ok=True)
    if not run.database.exists():
        run.tracked.unlink(missing_ok=True)
    for job in run.jobs:
        if run.arms(job).exists() and not _renew(run, job):
            run.arms(job).unlink()


def _is_whole(run: Run) -> bool:
    try:
        return is_whole(run.corpus)
    except DAMAGED:
        return False


def _renew(run: Run, job: str) -> bool:
    """Write the latest records of the arms of a job, if they differ from those it has.

    Returns:
        Whether the job has a record of every arm, and each arm has its files.
    """
    try:
        records = read_records(run, job)
        folders = [ArmFolder(run.results, arm_of(record).name) for record in records]
        latest = [folder.read(record["key"]) or record for folder, record in zip(folders, records, strict=True)]
        whole = all(
            folder.record.exists() and not folder.missing(record)
            for folder, record in zip(folders, latest, strict=True)
        )
        known = {(record["method"], record["fold"]) for record in records}
    except DAMAGED:
        return False
    if latest != records:
        write_json(run.arms(job), latest)
    return whole and known == set(run.jobs[job])
