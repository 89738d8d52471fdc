"""The command line as a user calls it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "benchmark", *map(str, words)]


def environment(plugins: Path | None = None) -> dict[str, str]:
    """One thread a process; `plugins` is a folder that holds installed packages."""
    path = [str(plugins)] * bool(plugins) + [os.environ.get("PYTHONPATH", "")]
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(filter(None, path))}


def unitbench(*words: object, cwd: Path, plugins: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(command(*words), cwd=cwd, env=environment(plugins), capture_output=True, text=True)
