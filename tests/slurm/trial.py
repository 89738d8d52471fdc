"""A small run through a real Slurm of one node: jobs that are killed and cancelled, and runs that change sides.

    python -m tests.slurm.trial --folder FOLDER

Needs root and Debian's packages slurm-wlm and munge; without them it says so in one line and does nothing. Each run
must end with the leaderboard of a run on this machine alone, and no run may fit an arm again that was finished. The
profile is the committed one; its jobs ask for GPUs, but for one run, and the cluster claims to have two.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import psutil
import yaml

from tests.faults.campaign import OF_THE_CLOCK
from tests.helpers.command import command, environment
from tests.slurm.cluster import cluster, missing

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "extends": str(ROOT / "config/default/simulated.yaml"),
    "name": "tiny",
    "dataset": {
        "name": "simulated",
        "options": {"n_donors": 2, "slides_per_donor": 1, "shape": [12, 12], "n_genes": 60, "image": False},
    },
    "methods": [
        "coordinates",
        "pca",
        {"method": "context", "options": {"hidden": 0.1, "n_genes": 32}, "vary": {"side": [1, "slide"]}},
    ],
    "budget": {"axis": "flops", "amounts": [4e10]},
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "methods_per_job": 4,
    "neighbours": [0],
    "tasks": ["domain"],
}
WITHOUT_GPU = ("--set-resources", "pretrain:gpu=0", "pretrain_in:gpu=0")
LONG = 900  # seconds that no part may take


def local(folder: Path, *words: str) -> subprocess.Popen:
    """Start the run, or go on with it, by `unitbench run`."""
    return _start(folder, command("run", "--config", "tiny.yaml", "--cores", "1", *words), environment())


def slurm(folder: Path, variables: dict[str, str], *words: str) -> subprocess.Popen:
    """Start the run, or go on with it, through the profile. Jobs are asked for sooner than on a real cluster."""
    call = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    call += ["--workflow-profile", ROOT / "profiles/slurm", "--slurm-init-seconds-before-status-checks", "5", *words]
    return _start(folder, [*call, "--config", "experiment=tiny.yaml"], environment() | variables)


def _start(folder: Path, words: list, variables: dict[str, str]) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    with open(folder / "output.txt", "a") as output:
        return subprocess.Popen(
            list(map(str, words)), cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT
        )


def finish(run: subprocess.Popen, folder: Path) -> None:
    code = run.wait(LONG)
    assert code == 0, f"ended with {code}:\n{tail(folder)}"


def tail(folder: Path) -> str:
    return "\n".join((folder / "output.txt").read_text().splitlines()[-40:])


def interrupt(run: subprocess.Popen) -> None:
    """As Ctrl-C does. Slurm's jobs are cancelled by it."""
    run.send_signal(signal.SIGINT)
    assert run.wait(LONG) != 0


def records(folder: Path) -> dict[str, int]:
    """When each finished arm was fitted, by its file, in ns."""
    return {str(f.relative_to(folder)): f.stat().st_mtime_ns for f in folder.glob("results/tiny/arms/**/arm.json")}


def until_some_are_finished(run: subprocess.Popen, folder: Path) -> dict[str, int]:
    """Wait until two arms are finished and others are not. Returns `records` of the moment."""
    end = time.monotonic() + LONG
    while len(found := records(folder)) < 2:
        assert run.poll() is None and time.monotonic() < end, tail(folder)
        time.sleep(0.1)
    return found


def running(run: subprocess.Popen, folder: Path, rule: str, variables: dict[str, str], n: int) -> list[str]:
    """Wait until n jobs of a rule run whose process is at work. Returns their ids."""
    end = time.monotonic() + LONG
    while run.poll() is None and time.monotonic() < end:
        words = ["squeue", "--noheader", "--states=running", "--format=%i %k"]
        lines = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True).stdout.splitlines()
        ids = [line.split()[0] for line in lines if f"rule_{rule}" in line]
        if len(ids) >= n and all(processes(rule, job) for job in ids[:n]):
            return ids[:n]
        time.sleep(0.3)
    raise AssertionError(f"{n} jobs of {rule} never ran at a time:\n{tail(folder)}")


def processes(rule: str, job: str) -> list[psutil.Process]:
    """The processes of `unitbench` in a job of Slurm."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if words[1:4] == ["-m", "benchmark", rule] and process.environ().get("SLURM_JOB_ID") == job:
                found.append(process)
        except psutil.Error:
            continue
    return found


def same(folder: Path, reference: Path) -> bool:
    """Whether two runs have the same leaderboard and the same scores, costs in time and memory aside."""
    boards, rows = [], []
    for path in (folder, reference):
        boards.append((path / "results/tiny/leaderboard.csv").read_bytes())
        table = pd.read_parquet(path / "results/tiny/scores.parquet")
        rows.append(table[~table["metric"].isin(OF_THE_CLOCK)].reset_index(drop=True))
    return boards[0] == boards[1] and rows[0].equals(rows[1])


def faults(folder: Path, variables: dict[str, str]) -> None:
    """One job's process is killed, another job is cancelled: the executor asks for both again."""
    run = slurm(folder, variables, *WITHOUT_GPU)
    killed, cancelled = running(run, folder, "pretrain", variables, 2)
    for process in processes("pretrain", killed):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    subprocess.run(["scancel", cancelled], env=os.environ | variables, check=True)
    finish(run, folder)
    said = (folder / "output.txt").read_text()
    for job, state in ((killed, "FAILED"), (cancelled, "CANCELLED")):
        assert f"SLURM-job '{job}' failed, SLURM status is: '{state}'" in said, tail(folder)


def doctor(variables: dict[str, str]) -> str:
    """What `unitbench doctor` finds. The profile as committed is the one to choose here."""
    words = [sys.executable, "-c", "from benchmark.experiment import slurm; print(slurm.finding()[0])"]
    said = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, check=True).stdout.strip()
    assert said.startswith("a cluster without accounting, with GPUs") and said.endswith("squeue"), said
    return said


def local_then_slurm(folder: Path, variables: dict[str, str]) -> None:
    """Begun on this machine, interrupted, finished on Slurm; with GPUs asked for."""
    run = local(folder)
    before = until_some_are_finished(run, folder)
    interrupt(run)
    finish(slurm(folder, variables), folder)
    assert before.items() <= records(folder).items(), "a finished arm was fitted again"


def slurm_then_local(folder: Path, variables: dict[str, str]) -> None:
    """Begun on Slurm, with GPUs asked for, interrupted, finished on this machine."""
    run = slurm(folder, variables)
    before = until_some_are_finished(run, folder)
    interrupt(run)
    finish(local(folder, "--resume"), folder)
    assert before.items() <= records(folder).items(), "a finished arm was fitted again"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("results/slurm"))
    folder = parser.parse_args().folder.resolve()
    lacks = [*missing(), *(["root"] if os.geteuid() else [])]
    lacks += [] if find_spec("snakemake_executor_plugin_slurm") else ["snakemake-executor-plugin-slurm"]
    if lacks:
        print(f"SKIPPED, nothing was tried: {', '.join(lacks)} missing → apt-get install slurm-wlm munge; "
              'pip install -e ".[slurm]"; run as root')  # fmt: skip
        return 0
    # So that the cluster is ended, and that Ctrl-C reaches the runs where this was started in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    shutil.rmtree(folder, ignore_errors=True)
    bad = 0
    print("run | seconds | leaderboard", flush=True)
    reference, start = folder / "local", time.monotonic()
    finish(local(reference), reference)
    print(f"local | {time.monotonic() - start:.0f} | (reference)", flush=True)
    with cluster() as variables:
        print("doctor:", doctor(variables), flush=True)
        for part in (faults, local_then_slurm, slurm_then_local):
            place, start = folder / part.__name__, time.monotonic()
            part(place, variables)
            equal = same(place, reference)
            bad += not equal
            seconds = time.monotonic() - start
            print(f"{part.__name__} | {seconds:.0f} | {'equal' if equal else 'DIFFERENT'}", flush=True)
    return int(bool(bad))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
