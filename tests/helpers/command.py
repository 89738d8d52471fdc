"""The command line as a user calls it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def command(*words: object) -> list[str]:
    """The words of a call of `unitbench`."""
    return [sys.executable, "-m", "benchmark", *map(str, words)]


def environment(plugins: Path | None = None) -> dict[str, str]:
    """The variables of a call: one thread for each process; `plugins`: a folder of installed packages for the path."""
    path = [str(plugins)] * bool(plugins) + [os.environ.get("PYTHONPATH", "")]
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(filter(None, path))}


def unitbench(*words: object, cwd: Path, plugins: Path | None = None) -> subprocess.CompletedProcess:
    """Call `unitbench` in the folder `cwd`."""
    return subprocess.run(command(*words), cwd=cwd, env=environment(plugins), capture_output=True, text=True)
