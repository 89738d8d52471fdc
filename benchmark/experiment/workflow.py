"""The whole run in one command: Snakemake in a child process, a display of its progress, the leaderboard at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import psutil
from rich.console import Console

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_json
from benchmark.experiment.frozen import check_path, freeze, lock
from benchmark.experiment.progress import watch

if TYPE_CHECKING:
    from benchmark.experiment.arms import Arm
    from benchmark.experiment.layout import Run

FULL = 1e6  # bytes: with less free no step can write its files
SNAKEFILE = Path(__file__).resolve().parents[2] / "Snakefile"


def run_workflow(run: Run, cores: str, resume: bool) -> int:
    """Run every step that is not done, from a copy of the config.

    Returns:
        0 done; 1 an arm failed, or a step broke down; 2 refused; 130 interrupted.

    Raises:
        UnitBenchError: refused before anything has begun.
    """
    if not SNAKEFILE.exists():
        raise UnitBenchError(SNAKEFILE, "file not found", "install from a checkout: pip install -e .")
    console = Console()
    console = console if console.is_terminal else Console(width=150)
    _listen()
    check_path(run.results)
    _check_notes()
    run.plan()  # refuses what cannot be made
    try:
        with _locked(run, console) as log:
            log.truncate(0)
            shutil.rmtree(run.results / "progress", ignore_errors=True)
            (run.results / "logs/show.log").unlink(missing_ok=True)
            frozen, news = freeze(run)
            if news:
                console.print(news, markup=False, highlight=False, soft_wrap=True)
            code = _call_snakemake(frozen, frozen.plan(), cores, resume, log, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: make resume CONFIG={run.path}", markup=False, highlight=False)
        return 130
    return _conclude(run, code, console)


def _listen() -> None:
    """Let `kill`, and a terminal that is closed, end the run as Ctrl-C does. Under `nohup` it goes on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def _check_notes() -> None:
    """Raises UnitBenchError: Snakemake cannot keep its notes, in the working folder, or its cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snakemake"
    remedies = {
        Path(".snakemake"): "start the run in a folder that you can write to",
        cache: "set XDG_CACHE_HOME to a folder that you can write to",
    }
    for folder, remedy in remedies.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            cause = f"Snakemake cannot write its files there ({error.strerror})"
            raise UnitBenchError(folder.absolute(), cause, remedy) from None


def _locked(run: Run, console: Console) -> TextIO:
    try:
        return lock(run)
    except UnitBenchError:
        console.print("an earlier run still works on this experiment: waiting for it to end")
        return lock(run, wait=True)


def _call_snakemake(
    run: Run, plan: dict[str, list[Arm]], cores: str, resume: bool, log: TextIO, console: Console
) -> int:
    """Run Snakemake with its output in `log`, and show how far it is. Returns its exit code.

    The paths go through a file: of a value on its command line, Snakemake takes "1e5" for a number.
    """
    settings = {"experiment": str(run.path), "results": str(run.results.parent)}
    file = write_json(run.results / "snakemake.json", settings)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--cores", cores]
    command += ["--configfile", str(file.resolve())]
    if resume:
        _unlock([*command, "--unlock"])
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        watch(run, plan, lambda: child.poll() is None, console)
    except KeyboardInterrupt:
        _stop(child)
        raise
    return child.returncode


def _unlock(command: list[str]) -> None:
    """Remove the lock of a run that was cut off. Raises UnitBenchError: Snakemake cannot."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words of its own"])[-1]
        where = Path(".snakemake/locks").absolute()
        raise UnitBenchError(where, f"Snakemake cannot unlock the run ({last})", "delete this folder")


def _stop(child: subprocess.Popen) -> None:
    """End Snakemake and its jobs. They have had the terminal's Ctrl-C already, so wait for them first."""
    try:
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in psutil.wait_procs(family, timeout=3)[1]:
        with suppress(psutil.NoSuchProcess):
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
        return min(abs(code), 1)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    log = run.results / "snakemake.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if any("LockException" in line for line in lines):
        say(f"a run was cut off here; go on with: make resume CONFIG={run.path}")
        return 2
    if (free := shutil.disk_usage(run.results).free) < FULL:  # then no log could say so
        say(f"the disk of {run.results} is full ({free:,} bytes free); free disk space, then run again")
        return 1
    ended = f": Snakemake was ended by {signal.Signals(-code).name}" if code < 0 else ""
    say(f"the workflow stopped{ended}; its output is in {log}")
    failed = [Path(line.removeprefix("Logfile ").rstrip(":")) for line in lines if line.startswith("Logfile ")]
    words = {path: _last_line(path) for path in dict.fromkeys(failed) if path.exists()}
    for path, line in words.items():
        say(f"  {path}: {line}")
    if not words:
        say("\n".join(lines[-10:]))
    return 2 if words and all(line.startswith("unitbench: ") for line in words.values()) else 1


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "the log is empty"
