"""Progress of a run: each process says in a small file how far it is, and one display shows them all."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, write_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from benchmark.experiment.arms import Arm
    from benchmark.experiment.layout import Run

EVERY = 0.5  # seconds between two looks at the files, and between two reports of one process
LINE_EVERY = 10.0  # seconds between two lines of a log, where no bars can be drawn


def reporter(path: Path, expected: int) -> Callable[[str, bool, float, str], None]:
    """A function that reports how far this process is: arm, whether it has ended, share of its budget, a few words.

    Args:
        path: the file to report in.
        expected: how many arms the process has.
    """
    process = {"host": platform.node(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    process |= {"expected": expected}
    write_json(path, process | {"arm": "", "done": 0, "fraction": 0.0, "text": ""})
    done, last = 0, 0.0

    def report(arm: str, finished: bool, fraction: float, text: str) -> None:
        nonlocal done, last
        done += finished
        if time.monotonic() - last < EVERY and not finished:
            return
        last = time.monotonic()
        write_json(path, process | {"arm": arm, "done": done, "fraction": round(fraction, 3), "text": text})
        print(f"{done} of {expected} arms done; {arm}: {fraction:.0%} of its budget, {text}", file=sys.stderr)

    return report


def read_report(path: Path) -> dict | None:
    """The last report in the file, None if there is none or it is damaged."""
    try:
        return read_json(path, dict, {"arm": str, "done": int, "fraction": float, "text": str})
    except UnitBenchError:  # it is only shown
        return None


def is_at_work(report: dict | None) -> bool:
    """Whether the process that reported still runs. One on another host counts as running."""
    if report is None or "host" not in report:  # old reports do not name the process
        return False
    if report["host"] != platform.node():
        return True
    try:
        process = psutil.Process(report["pid"])
        return process.create_time() == report["started"] and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class State(NamedTuple):
    """Arms fitted, arms scored, and for each arm that is fitted now, a few words and the share of its budget."""

    fitted: int
    scored: int
    now: dict[str, tuple[str, float]]


def watch(run: Run, plan: dict[str, list[Arm]], working: Callable[[], bool], console: Console) -> None:
    """Show how far the run is while `working()`: as bars on a terminal, else as lines of a log."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    expected = sum(map(len, plan.values()))
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as display:
        fitted, scored = (display.add_task(what, total=expected, words="") for what in ("arms fitted", "arms scored"))
        bars: dict[str, TaskID] = {}
        last_line = time.monotonic()
        while working():
            time.sleep(EVERY)
            state = look(run, plan)
            for bar, done in ((fitted, state.fitted), (scored, state.scored)):
                display.update(bar, completed=done, words=f"{done} of {expected}")
            for name in bars.keys() - state.now.keys():
                display.remove_task(bars.pop(name))
            for name in state.now.keys() - bars.keys():
                bars[name] = display.add_task(f"  {name}", total=1.0, words="")
            for name, (words, fraction) in state.now.items():
                display.update(bars[name], completed=fraction, words=words)
            if not console.is_terminal and time.monotonic() - last_line > LINE_EVERY:
                last_line = time.monotonic()
                now = "".join(f"; {name}: {words}" for name, (words, _) in state.now.items())
                line = f"arms fitted {state.fitted} of {expected}, scored {state.scored}{now}"
                console.print(line, highlight=False, soft_wrap=True)


def look(run: Run, plan: dict[str, list[Arm]]) -> State:
    """How far the jobs of a run are. Of a job without result, its last report counts."""
    fitted, scored, now = 0, 0, {}
    for job, arms in plan.items():
        scored += len(arms) * run.scores(job).exists()
        if run.arms(job).exists():
            fitted += len(arms)
        elif report := read_report(run.progress(job)):
            fitted += report["done"]
            if report["arm"] and report["done"] < len(arms):
                now[report["arm"]] = (f"{report['fraction']:.0%} of its budget, {report['text']}", report["fraction"])
    return State(fitted, scored, now)
