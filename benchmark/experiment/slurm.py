"""What `unitbench doctor` says of Slurm: whether it is there, and which lines of the profile fit the cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

PROFILE = Path("profiles/slurm/config.yaml")
INSTALL = 'pip install -c constraints.txt -e ".[slurm]"'
# The executor asks `sacct`, whatever the profile says, where Slurm forgets a finished job sooner than after this many
# of its intervals, each of so many seconds.
INTERVALS, INTERVAL = 3, 40


def finding() -> tuple[str, str]:
    """What was found, and a remedy, "" where none is needed."""
    if not shutil.which("sbatch"):
        return "sbatch is not on PATH: no jobs can be sent to a cluster from here", ""
    if (devices := _says("sinfo", "--noheader", "--format=%G")) is None:
        return "sbatch is on PATH, and no controller answers", "call this on a node of the cluster"
    accounting, gpus = _says("sacct", "--noheader", "--format=JobID") is not None, "gpu" in devices
    chosen = [f"slurm-status-command: {'sacct' if accounting else 'squeue'}"]
    if not accounting and (age := _job_age()) < INTERVALS * INTERVAL:
        chosen.append(f"slurm-init-seconds-before-status-checks: {max(1, age // INTERVALS)}")
    chosen += [] if gpus else ["gpu: 0"]
    has = f"{'with' if accounting else 'without'} accounting, {'with' if gpus else 'without'} GPUs"
    remedy = "" if find_spec("snakemake_executor_plugin_slurm") else INSTALL
    return f"a cluster {has}; in {PROFILE} choose {', '.join(chosen)}", remedy


def _job_age() -> int:
    """For how many seconds Slurm tells of a job that has ended."""
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", _says("scontrol", "show", "config") or "", re.MULTILINE)
    return int(found[1]) if found else INTERVALS * INTERVAL


def _says(*words: str) -> str | None:
    """What a program of Slurm prints; None where it fails, or does not answer within 20 s."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
