"""The state of each arm of a run: of one that is finished, under way or cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from benchmark.data.corpus import Corpus, open_corpus
from benchmark.experiment.arms import Arm, arm_key, folds_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.outputs import task_keys
from benchmark.experiment.progress import is_at_work, read_report
from benchmark.experiment.records import read_records

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.experiment.layout import Run

STYLES = {"ok": "green", "failed": "bold red", "running": "cyan", "cut off": "yellow"}


class ArmStatus(NamedTuple):
    """One arm.

    Attributes:
        state: "waiting", "running", "cut off" (begun by a process that has ended), "ok", "failed", "not applicable".
        detail: the share of its budget that a running arm has spent, or why an arm has no result.
        scored: whether its job was scored with this result.
    """

    job: str
    arm: str
    state: str
    detail: str = ""
    scored: bool = False


def arm_states(run: Run) -> list[ArmStatus]:
    """The state of every arm, job by job, in the order in which they run. Any of the files may be missing.

    A result of other settings or of another corpus does not count: its arm is waiting.
    """
    corpus = open_corpus(run.corpus) if run.record.exists() else None
    return [state for job, arms in run.plan().items() for state in _job_states(run, corpus, job, arms)]


def _job_states(run: Run, corpus: Corpus | None, job: str, arms: list[Arm]) -> Iterator[ArmStatus]:
    report = read_report(run.progress(job))
    at_work, scored = is_at_work(report), _scored(run, job)
    for arm in arms:
        folder, key = ArmFolder(run.results, arm.name), _key(run, corpus, arm)
        record = folder.read(key)
        if record and record["status"] == "ok" and record["tasks"] != task_keys(run.config):
            yield ArmStatus(job, arm.name, "waiting", "fitted, and lacks outputs of a task")
        elif record:
            yield ArmStatus(job, arm.name, record["status"], record["reason"], record in scored)
        elif not folder.has_begun(key):
            yield ArmStatus(job, arm.name, "waiting")
        elif is_at_work(alone := read_report(run.progress(arm.name))):
            yield ArmStatus(job, arm.name, "running", _share(arm, alone))
        elif at_work:
            at_work = False  # a process fits one arm at a time, in this order
            yield ArmStatus(job, arm.name, "running", _share(arm, report))
        else:
            yield ArmStatus(job, arm.name, "cut off", "has a checkpoint" if folder.checkpoint.exists() else "")


def _key(run: Run, corpus: Corpus | None, arm: Arm) -> str:
    """The key of the arm with the settings and slides of now; "" where the corpus is missing or lacks the fold."""
    fold = folds_of(run.config, corpus).get(arm.fold) if corpus else None
    return arm_key(run.config, corpus, fold, arm) if corpus and fold else ""


def _share(arm: Arm, report: dict | None) -> str:
    """The share of its budget that the arm has spent, as far as the process has reported it."""
    share = report["fraction"] if report and report["arm"] == arm.name else 0.0
    return f"{share:.0%} of its budget"


def _scored(run: Run, job: str) -> list[dict]:
    """The records that the score rows of the job were made from; none if they are older than the records."""
    records, rows = run.arms(job), run.scores(job)
    if not records.exists() or not rows.exists() or rows.stat().st_mtime_ns < records.stat().st_mtime_ns:
        return []
    return read_records(run, job)


def status_table(states: list[ArmStatus]) -> Table:
    """All arms, one line each, and how many are in each state."""
    from rich.table import Table
    from rich.text import Text

    counts = Counter(status.state for status in states)
    words = ", ".join(f"{count} {state}" for state, count in counts.items())
    scored = sum(status.scored for status in states)
    table = Table("job", "arm", "state", "detail", "scored", caption=f"{len(states)} arms: {words}; {scored} scored")
    table.caption_justify = "left"
    for status in states:
        state = Text(status.state, STYLES.get(status.state, ""))
        table.add_row(status.job, status.arm, state, Text(status.detail), "yes" if status.scored else "")
    return table
