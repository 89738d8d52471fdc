"""The summary on the terminal: failed arms, each cause once."""

from pathlib import Path

import pandas as pd

from benchmark.experiment.summary import failure_lines


def test_arms_that_failed_alike_are_one_line_with_one_traceback():
    failed = pd.DataFrame(
        [
            ("a", "ValueError: x; traceback: arms/a/fold1/0-seed0/error.txt"),
            ("a", "ValueError: x; traceback: arms/a/fold0/0-seed0/error.txt"),
            ("a", "ValueError: y; traceback: arms/a/fold2/0-seed0/error.txt"),
            ("b", "pretraining: its process was killed; give it more memory"),
            ("b", "ValueError: x; traceback: arms/b/fold0/0-seed0/error.txt"),
        ],
        columns=["method", "reason"],
    )
    assert list(failure_lines(failed, Path("results/mine"))) == [
        "failed: a, 2 arms: ValueError: x; traceback: results/mine/arms/a/fold0/0-seed0/error.txt",
        "failed: a, 1 arm: ValueError: y; traceback: results/mine/arms/a/fold2/0-seed0/error.txt",
        "failed: b, 1 arm: ValueError: x; traceback: results/mine/arms/b/fold0/0-seed0/error.txt",
        "failed: b, 1 arm: pretraining: its process was killed; give it more memory",
    ]


def test_a_run_without_failures_has_no_such_line():
    assert list(failure_lines(pd.DataFrame(columns=["method", "reason"]), Path("results"))) == []
