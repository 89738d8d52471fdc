"""The jobs of a run: check them, fit their arms, score them. Or fit one arm alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import write_json
from benchmark.core.scores import write_rows, write_table
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus, open_corpus
from benchmark.experiment.check import check_methods, check_tasks
from benchmark.experiment.fit import run_arms, run_these
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.progress import reporter
from benchmark.experiment.records import read_records
from benchmark.experiment.score import score_arms

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run


def check_jobs(run: Run) -> None:
    """Check the tasks and the methods of all jobs, and leave a mark for each job only if no method refuses.

    Labels that do not fit between slides are printed and kept in the marks; they stop nothing.

    Raises:
        UnitBenchError: there is no corpus, a task can score nothing, or a method cannot serve its slides.
    """
    for job in run.jobs:
        run.checked(job).unlink(missing_ok=True)
    corpus = open_corpus(run.corpus)
    warnings = check_tasks(run.config, corpus)
    print(*warnings, sep="\n", end="\n" if warnings else "")
    n_checks = {job: check_methods(run.config, corpus, pairs) for job, pairs in run.jobs.items()}
    for job in run.jobs:
        write_json(run.checked(job), {"checks": n_checks[job], "labels": warnings})


def fit_jobs(run: Run, corpus: Corpus, jobs: list[str], attempt: int = 1) -> None:
    """Check the methods of these jobs, then fit the jobs one after another."""
    check_methods(run.config, corpus, [pair for job in jobs for pair in run.jobs[job]])
    for job in jobs:
        _fit_job(run, corpus, job, attempt)


def _fit_job(run: Run, corpus: Corpus, job: str, attempt: int) -> None:
    """Fit all arms of a job, and write their records and the seconds of work."""
    before = WORK.seconds
    report = reporter(run.progress(job), len(run.plan(job)[job]))
    records = run_arms(run.config, corpus, run.results, run.jobs[job], report, attempt)
    write_json(run.times / f"pretrain.{job}.json", WORK.seconds - before)
    write_json(run.arms(job), records)


def fit_alone(run: Run, corpus: Corpus, name: str, job: str | None = None) -> Path | None:
    """Fit one arm. The records of its job stay as they are; the next run renews them.

    Returns:
        The file with its traceback, None where it did not fail.

    Raises:
        UnitBenchError: there is no such arm in the job, or in any job where none is given.
    """
    arms = {arm.name: arm for arms in run.plan(*run.chosen(job)).values() for arm in arms}
    if name not in arms:
        raise UnitBenchError(f"arm {name!r}", f"not in {f'job {job}' if job else run.path}", nearest(name, arms))
    arm = arms[name]
    check_methods(run.config, corpus, [(arm.method, arm.fold)])
    (record,) = run_these(run.config, corpus, run.results, [arm], reporter(run.progress(name), 1))
    return ArmFolder(run.results, name).traceback if record["status"] == "failed" else None


def score_job(run: Run, corpus: Corpus, job: str) -> None:
    """Score the fitted arms of a job, and write their rows, maps and the seconds of work."""
    import sklearn  # slow to import, and fitting does not need it

    before = WORK.seconds
    # What scikit-learn would check at each of thousands of calls was checked once: see `tasks.scaling.check_embedding`.
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        rows, maps = score_arms(run.config, corpus, run.results, read_records(run, job))
    write_json(run.times / f"score.{job}.json", WORK.seconds - before)
    write_table(run.maps(job), maps)
    write_rows(run.scores(job), rows)


def track_run(run: Run) -> None:
    """Write the leaderboard, the courses of the trainings and the report into MLflow, and count what was written."""
    from benchmark.experiment.tracked import track_tables

    write_json(run.tracked, track_tables(run)._asdict())
