"""The copy of the config that a run works from: who edits the config while a run works changes the next run alone."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path
from typing import TextIO

import yaml

from benchmark.core.config import Config, read_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_text
from benchmark.experiment.layout import Run, open_run
from benchmark.experiment.mend import mend

HEAD = "# The config of this run as it was when the run began, written out in full. The next run writes it anew.\n"
# Snakemake reads braces in a path as a wildcard, and the address of MLflow's database ends at a question mark.
REFUSED = re.compile(r"[{}?\x00-\x1f\x7f]")
_locks: list[TextIO] = []  # held as long as this process lives


def freeze(run: Run) -> tuple[Run, str]:
    """Write the copy. A caller keeps other runs of this folder from working meanwhile.

    Returns:
        The run by its copy, and a line for the user: what has changed since the last run, "" for nothing.

    Raises:
        UnitBenchError: Snakemake cannot work in this folder.
    """
    check_path(run.results)
    before = run.begun
    if run.config.methods_per_job is None:
        from benchmark.experiment.packing import packed  # slow to import, and most processes only read the copy

        run = packed(run)
    if before != run.config:
        values = run.config.model_dump(mode="json")
        write_text(run.frozen, HEAD + yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    changed = [key for key in Config.model_fields if before and getattr(before, key) != getattr(run.config, key)]
    return open_run(run.frozen, run.results.parent), (
        f"{run.path}: changed since the last run ({', '.join(changed)}): this is a new run; "
        "what the change leaves as it was is used again"
        if changed
        else ""
    )


def begin(config: Path | str, results: Path | str, main: bool) -> Run:
    """The run that the Snakefile works on.

    Args:
        config: a config, or the copy that `unitbench run` has made of one.
        main: whether this process plans the run. One that does a job of it on another machine reads the copy.

    Raises:
        UnitBenchError: another run works in the folder, or the config is refused.
    """
    config, results = Path(str(config)), Path(str(results))
    if not main:
        return open_run(results / read_config(config).name / "config.yaml", results)
    run = open_run(config, results)
    if config.resolve() != run.frozen.resolve():
        check_path(run.results)
        _locks.append(lock(run))
        run, news = freeze(run)
        print(news, end="\n" * bool(news))
    mend(run)
    return run


def lock(run: Run, wait: bool = False) -> TextIO:
    """The log of Snakemake, locked. The lock ends with the last process that has the file open, however it ends.

    Raises:
        UnitBenchError: another run has the lock, and this one shall not wait.
    """
    run.results.mkdir(parents=True, exist_ok=True)
    log = open(run.results / "snakemake.log", "a", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(log, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        log.close()
        raise UnitBenchError(run.results, "another run works on this experiment", "wait for it to end") from None
    return log


def check_path(results: Path) -> None:
    """Raises UnitBenchError: the folder has a name that Snakemake or MLflow reads in another way."""
    bad = {*REFUSED.findall(str(results)), *("?" * ("?" in str(results.resolve())))}
    if bad:
        cause = f"a path with {', '.join(map(repr, sorted(bad)))} cannot be given to Snakemake or MLflow"
        raise UnitBenchError(f"--results {str(results.parent)!r}", cause, "give a folder without")
