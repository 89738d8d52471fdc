"""The long campaign of faults: a tiny run is killed at random moments, and loses each of its files in turn.

    python -m tests.faults.campaign --folder FOLDER --kills 50

After each fault the run is started again, and must end with the scores of a run that nothing disturbs. Moments and
victims are drawn by a seed. Each trial leaves a file in FOLDER, so the campaign goes on where it stopped, and several
processes may share it. At the end it prints a table.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml

from benchmark.core.files import write_json
from tests.helpers.command import command, environment

CONFIG = {
    "name": "tiny",
    "dataset": {"name": "simulated", "options": {"n_donors": 2, "shape": [12, 12], "n_genes": 60, "image": False}},
    "methods": ["random", {"method": "patch", "options": {"size": 4, "n_channels": 16}}],
    "budget": {"axis": "spots", "amounts": [13000]},
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "methods_per_job": 2,
    "seeds": [0],
    "neighbours": [0],
    "tasks": ["domain"],
}
RUN = ("run", "--config", "tiny.yaml", "--cores", "2")
VICTIMS = ("tree", "worker", "snakemake", "parent")
OF_THE_CLOCK = ["arm_seconds", "device_seconds", "peak_memory_bytes", "energy_joules"]
NOTES = ("logs", "benchmarks", "progress", "snakemake.log", "snakemake.json")  # of a run, no results of it
NOTES += ("key", ".mlflow.db.lock")
OUTCOMES = ("fine", "unclear", "lost", "a note, not made again")


def call(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(*RUN, *words), cwd=folder, env=environment(), capture_output=True, text=True)


def whole(folder: Path) -> Path:
    """A run that nothing disturbs, made once."""
    path = folder / "whole"
    with open(folder / "whole.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "seconds.json").exists():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            (path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
            start = time.monotonic()
            done = call(path)
            assert done.returncode == 0, done.stdout + done.stderr
            write_json(folder / "seconds.json", time.monotonic() - start)
    return path


def scores(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "results/tiny/scores.parquet")
    return rows[~rows["metric"].isin(OF_THE_CLOCK)].reset_index(drop=True)


def same(one: Path, other: Path) -> bool:
    """Whether two runs have the same scores and the same leaderboard."""
    boards = [(folder / "results/tiny/leaderboard.csv").read_bytes() for folder in (one, other)]
    return scores(one).equals(scores(other)) and boards[0] == boards[1]


def judge(done: subprocess.CompletedProcess, folder: Path, reference: Path) -> str:
    """The outcome of the last run after a fault."""
    if done.returncode == 0 and same(folder, reference):
        return "fine"
    said = done.stdout + done.stderr
    return "lost" if done.returncode == 0 or "Traceback" not in said else "unclear"


def kill(folder: Path, reference: Path, rng: random.Random, seconds: float) -> dict:
    """Kill a part of a run at some moment, then go on with it, at most twice."""
    victim, moment = rng.choice(VICTIMS), rng.uniform(0, seconds)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    run = subprocess.Popen(
        command(*RUN), cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + moment
    while time.monotonic() < end and run.poll() is None:
        time.sleep(0.05)
    killed, family = [], psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
    if run.poll() is None:
        killed = [process for process in (psutil.Process(run.pid), *family) if _is(process, victim, run.pid)]
        for process in [rng.choice(killed)] if victim == "worker" and killed else killed:
            process.send_signal(signal.SIGKILL)
    steps = sorted({words[words.index("benchmark") + 1] for words in map(_words, family) if "benchmark" in words})
    run.wait()
    outcome, tries = "lost", 0
    while outcome != "fine" and tries < 2:
        done, tries = call(folder, "--resume"), tries + 1
        outcome = judge(done, folder, reference)
    said = (done.stdout + done.stderr)[-2000:] if outcome != "fine" else ""
    about = {"moment": moment, "steps": steps, "tries": tries, "said": said}
    return {"fault": f"kill {victim}", "outcome": outcome, **about}


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _is(process: psutil.Process, victim: str, parent: int) -> bool:
    words = _words(process)
    of = {"tree": True, "parent": process.pid == parent, "snakemake": "snakemake" in words}
    of["worker"] = process.pid != parent and "benchmark" in words
    return of[victim]


def delete(folder: Path, reference: Path, file: str) -> dict:
    """Delete a file of a finished run, then run again."""
    shutil.copytree(reference, folder, dirs_exist_ok=True)
    (folder / file).unlink()
    done = call(folder)
    outcome = judge(done, folder, reference)
    if outcome == "fine" and not ((folder / file).exists() and alike(folder / file, reference / file)):
        is_note = set(Path(file).relative_to("results/tiny").parts) & set(NOTES)
        outcome = "a note, not made again" if is_note else "lost"
    tail = (done.stdout + done.stderr)[-2000:] if outcome in ("unclear", "lost") else ""
    return {"fault": f"delete {kind(file)}", "file": file, "outcome": outcome, "said": tail}


def kind(file: str) -> str:
    """The folder of the results that the file lies in, or "tables and pages"."""
    parts = Path(file).relative_to("results/tiny").parts
    return parts[0] if len(parts) > 1 else "tables and pages"


def alike(one: Path, other: Path) -> bool:
    """Whether two files hold the same values; of formats that hold a date, whether both hold something."""
    if one.suffix == ".npz":
        with np.load(one) as a, np.load(other) as b:
            return a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)
    if one.suffix in (".csv", ".safetensors") and one.stem != "scores":
        return one.read_bytes() == other.read_bytes()
    return one.stat().st_size > 0


def trial(folder: Path, name: str, do: Callable[[Path], dict]) -> dict | None:
    """Do a trial that is not done yet. Returns its result, None where another process is at it."""
    result = folder / f"{name}.json"
    if result.exists():
        return json.loads(result.read_text())
    with open(folder / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not result.exists():
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir()
            write_json(result, do(folder / name))
            shutil.rmtree(folder / name, ignore_errors=True)
    return json.loads(result.read_text())


def table(results: list[dict]) -> str:
    """How many trials of each fault were tried, and how each ended."""
    counts: dict[str, Counter] = {}
    for result in results:
        counts.setdefault(result["fault"], Counter())[result["outcome"]] += 1
    lines = [("fault", "tried", *OUTCOMES)]
    lines += [(fault, str(sum(c.values())), *(str(c[o]) for o in OUTCOMES)) for fault, c in sorted(counts.items())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("results/faults"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--deletions", type=int, help="How many files; default: every one.")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    reference = whole(folder)
    seconds = json.loads((folder / "seconds.json").read_text())
    files = sorted(p.relative_to(reference).as_posix() for p in (reference / "results/tiny").rglob("*") if p.is_file())
    chosen = random.Random(given.seed).sample(files, min(given.deletions, len(files))) if given.deletions else files
    results = []
    for number in range(given.kills):
        rng = random.Random(f"{given.seed}-{number}")
        results.append(trial(folder, f"kill-{number}", lambda path, rng=rng: kill(path, reference, rng, seconds)))
    for file in chosen if given.deletions != 0 else []:
        name = f"delete-{files.index(file)}"
        results.append(trial(folder, name, lambda path, file=file: delete(path, reference, file)))
    done = [result for result in results if result]
    print(table(done))
    bad = [result for result in done if result["outcome"] in ("unclear", "lost")]
    for result in bad:
        print(json.dumps(result, indent=1), file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
