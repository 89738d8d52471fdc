"""The whole run in one command: Snakemake in a child process, a display of its progress, the leaderboard at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psutil
from rich.console import Console

from benchmark.core.errors import UnitBenchError
from benchmark.experiment.jobs import take_in
from benchmark.experiment.progress import watch

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run

FULL = 1e6  # bytes: with less free no step can write its files
SNAKEFILE = Path(__file__).resolve().parents[2] / "Snakefile"


def run_workflow(run: Run, cores: str, resume: bool) -> int:
    """Run every step that is not done.

    Returns:
        0, or 1 if an arm or a job failed, or 2 if the settings were refused, or 130 if interrupted.
    """
    if not SNAKEFILE.exists():
        raise UnitBenchError(SNAKEFILE, "file not found", "install from a checkout: pip install -e .")
    _check_folders_of_snakemake()
    console = Console()
    console = console if console.is_terminal else Console(width=150)
    plan = run.plan()
    run.results.mkdir(parents=True, exist_ok=True)
    with open(run.results / "snakemake.log", "a", encoding="utf-8") as log:
        _wait_for_others(log, console)
        log.truncate(0)
        shutil.rmtree(run.results / "progress", ignore_errors=True)
        (run.results / "logs/show.log").unlink(missing_ok=True)
        take_in(run)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--cores", cores]
        command += ["--config", f"experiment={run.path}", f"results={run.results.parent}"]
        if resume:
            subprocess.run([*command, "--unlock"], check=True, capture_output=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` is Ctrl-C
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            watch(run, plan, lambda: child.poll() is None, console)
        except KeyboardInterrupt:
            _stop(child)
            console.print(f"interrupted; go on with: make resume CONFIG={run.path}", highlight=False)
            return 130
    return _conclude(run, child.returncode, console)


def _check_folders_of_snakemake() -> None:
    """Raises UnitBenchError: it cannot write where it keeps its notes, the working folder, or its cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snakemake"
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    for folder, remedy in ((Path.cwd(), "run in another folder"), (cache, "set XDG_CACHE_HOME to another folder")):
        if not os.access(folder, os.W_OK):
            raise UnitBenchError(folder, "cannot be written, and Snakemake keeps files there", remedy)


def _wait_for_others(log: TextIO, console: Console) -> None:
    """Lock the log. The lock ends with the last process that writes to the log, even where the run was killed."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        console.print("an earlier run still works on this experiment: waiting for it to end")
        fcntl.flock(log, fcntl.LOCK_EX)


def _stop(child: subprocess.Popen) -> None:
    """End Snakemake and its jobs. They have had the terminal's Ctrl-C already, so wait for them first."""
    try:
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in psutil.wait_procs(family, timeout=3)[1]:
        process.terminate()
    psutil.wait_procs(family)


def _conclude(run: Run, code: int, console: Console) -> int:
    """Print the leaderboard if the run came that far, else the last line of each log that Snakemake names as failed.

    Returns:
        The exit code of the run.
    """
    from benchmark.experiment.summary import show

    if code == 0 or (run.results / "logs/show.log").exists():
        show(run, console)
        return min(code, 1)
    log = run.results / "snakemake.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if any("LockException" in line for line in lines):
        console.print(f"a run was cut off here; go on with: make resume CONFIG={run.path}", highlight=False)
        return 1
    if (free := shutil.disk_usage(run.results).free) < FULL:  # then no log could say so
        line = f"the disk of {run.results} is full ({free:,} bytes free); free disk space, then run again"
        console.print(line, highlight=False, soft_wrap=True)
        return 1
    console.print(f"the workflow stopped; its output is in {log}", highlight=False, soft_wrap=True)
    failed = [Path(line.removeprefix("Logfile ").rstrip(":")) for line in lines if line.startswith("Logfile ")]
    for path in filter(Path.exists, dict.fromkeys(failed)):
        last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["the log is empty"]
        console.print(f"  {path}: {last[0]}", markup=False, highlight=False, soft_wrap=True)
    if not failed:
        console.print("\n".join(lines[-10:]), markup=False, highlight=False, soft_wrap=True)
    return 2 if run.results / "logs/check.log" in failed else 1
