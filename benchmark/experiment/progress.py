"""Progress of a run: each job says how far it is in a small file; one display shows arms done and budget spent."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmark.core.files import write_json

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.experiment.layout import Run

EVERY = 0.5  # seconds between two looks or two words
LINE_EVERY = 10.0  # seconds between two lines where there is no terminal to draw on


def reporter(path: Path, expected: int) -> Callable[[str, bool, float, str], None]:
    """A function that tells of a job's progress: name of the arm, whether it is done, share of its budget, a word."""
    done, last = 0, 0.0

    def tell(arm: str, finished: bool, fraction: float, text: str) -> None:
        nonlocal done, last
        done += finished
        if time.monotonic() - last < EVERY and not finished:
            return
        last = time.monotonic()
        news = {"arm": arm, "done": done, "expected": expected, "fraction": round(fraction, 3), "text": text}
        write_json(path, news)
        print(f"{done} of {expected} arms done; {arm}: {fraction:.0%} of its budget, {text}", file=sys.stderr)

    return tell


class State(NamedTuple):
    """Arms fitted, arms scored, and for each job at work: what it says and its share of the arm's budget."""

    fitted: int
    scored: int
    now: dict[str, tuple[str, float]]


def watch(run: Run, plan: dict[str, int], working: Callable[[], bool], console: Console) -> None:
    """Show how far the run is, as bars or as lines of a log, while `working()`."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    expected = sum(plan.values())
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as display:
        fitted, scored = (display.add_task(what, total=expected, said="") for what in ("arms fitted", "arms scored"))
        jobs, said_at = {}, time.monotonic()
        while working():
            time.sleep(EVERY)
            state = look(run, plan)
            for bar, done in ((fitted, state.fitted), (scored, state.scored)):
                display.update(bar, completed=done, said=f"{done} of {expected}")
            for name in jobs.keys() - state.now.keys():
                display.remove_task(jobs.pop(name))
            for name in state.now.keys() - jobs.keys():
                jobs[name] = display.add_task(f"  {name}", total=1.0, said="")
            for name, (said, fraction) in state.now.items():
                display.update(jobs[name], completed=fraction, said=said)
            if not console.is_terminal and time.monotonic() - said_at > LINE_EVERY:
                said_at = time.monotonic()
                now = "".join(f"; {name}: {said}" for name, (said, _) in state.now.items())
                line = f"arms fitted {state.fitted} of {expected}, scored {state.scored}{now}"
                console.print(line, highlight=False, soft_wrap=True)


def look(run: Run, plan: dict[str, int]) -> State:
    """How far the jobs of a run are; a job's own file counts until its result is there."""
    fitted, scored, now = 0, 0, {}
    for job, n_arms in plan.items():
        scored += n_arms * run.scores(job).exists()
        if run.arms(job).exists():
            fitted += n_arms
            continue
        try:
            told = json.loads(run.progress(job).read_text(encoding="utf-8"))
        except OSError:
            continue
        fitted += told["done"]
        if told["done"] < n_arms:
            now[told["arm"]] = (f"{told['fraction']:.0%} of its budget, {told['text']}", told["fraction"])
    return State(fitted, scored, now)
