"""Progress of a run: each job says how far it is in a small file; one display shows arms done and budget spent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.files import write_json

if TYPE_CHECKING:
    from benchmark.layout import Run

EVERY = 0.5  # seconds between two looks or two words


def reporter(path: Path, name: str) -> Callable[[int, int, float, str], None]:
    """A function (arms done, arms expected, share of the present arm's budget, text) that tells of a job's progress."""
    last = 0.0

    def tell(done: int, expected: int, fraction: float, text: str) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY and 0 < fraction < 1:
            return
        last = time.monotonic()
        write_json(path, {"done": done, "expected": expected, "fraction": round(fraction, 3), "text": text})
        print(
            f"{name}: arm {min(done + 1, expected)} of {expected}, {fraction:.0%} of its budget, {text}",
            file=sys.stderr,
        )

    return tell


def run_workflow(run: Run, cores: str, resume: bool) -> int:
    """Snakemake in a child process, its output in a log; the display here. Returns its exit code."""
    from rich.console import Console

    console = Console()
    experiment = ["--config", f"experiment={run.path}", f"results={run.results.parent}"]
    command = [sys.executable, "-m", "snakemake", "--cores", cores, *experiment]
    if resume:
        subprocess.run([*command, "--unlock"], check=True, capture_output=True)
    run.results.mkdir(parents=True, exist_ok=True)
    log = run.results / "snakemake.log"
    with open(log, "w", encoding="utf-8") as file:
        child = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        try:
            _watch(run, child, console)
        except KeyboardInterrupt:
            child.wait()
            console.print("interrupted: `make resume` goes on from here")
            return 130
    verdict = run.results / "verdict.txt"
    if verdict.exists():
        console.print(verdict.read_text(encoding="utf-8"), markup=False, highlight=False, soft_wrap=True)
    if child.returncode:
        console.print(f"the workflow stopped with exit code {child.returncode}; its last words, from {log}:")
        console.print("\n".join(log.read_text(encoding="utf-8").splitlines()[-15:]), markup=False, highlight=False)
    return child.returncode


def _watch(run: Run, child: subprocess.Popen, console) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    jobs = [run.progress(*job) for job in run.jobs]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as display:
        arms = display.add_task("arms", total=None, now="")
        last = time.monotonic()
        while child.poll() is None:
            time.sleep(EVERY)
            done, expected, now = _read(jobs)
            display.update(arms, completed=done, total=expected, now=now)
            if not console.is_terminal and time.monotonic() - last > 20 * EVERY:
                last = time.monotonic()
                console.print(f"arms {done} of {expected}  {now}", highlight=False)


def _read(jobs: list[Path]) -> tuple[int, int, str]:
    """Arms done, arms expected (of jobs that have begun; others count as one each) and what is being done now."""
    done = expected = 0
    now = []
    for path in jobs:
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            expected += 1
            continue
        done, expected = done + state["done"], expected + state["expected"]
        if state["done"] < state["expected"]:
            now.append(f"{path.stem} {state['fraction']:.0%} of budget")
    return done, expected, " · ".join(now)
