"""The peak of a process's memory is its own."""

import subprocess
import sys

import numpy as np

from benchmark.core.memory import peak_rss

COUNT = "from benchmark.core.memory import peak_rss; print(peak_rss())"


def test_a_process_does_not_count_the_memory_of_the_one_that_started_it():
    held = np.ones(40_000_000)  # 320 MB
    assert peak_rss() > held.nbytes
    assert int(subprocess.run([sys.executable, "-c", COUNT], capture_output=True, check=True).stdout) < 100e6


def test_what_was_held_for_a_moment_counts():
    lines = f"import numpy; numpy.ones(40_000_000); {COUNT}"
    assert int(subprocess.run([sys.executable, "-c", lines], capture_output=True, check=True).stdout) > 320e6
