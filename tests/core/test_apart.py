"""A function in a process of its own: its result, and what is said of every way to end without one."""

import faulthandler
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch

from benchmark.core.apart import MOST_OUTPUT, Ended, apart
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError


def test_the_value_comes_back():
    assert apart("it", lambda a, b: {"sum": a + b}, 1, 2) == {"sum": 3}


def state():
    drawn = np.random.get_state()[1].sum()  # noqa: NPY002
    return drawn, torch.get_default_dtype(), np.mean, os.getcwd(), os.environ.get("X")


def test_nothing_else_comes_back(tmp_path):
    """Global state of all kinds, changed there, is as it was here."""
    before = state()

    def spoil():
        np.random.seed(1)  # noqa: NPY002
        torch.set_default_dtype(torch.float64)
        np.mean = np.sum
        os.chdir(tmp_path)
        os.environ["X"] = "1"
        os.umask(0o777)
        return float(np.mean([1, 1]))

    assert apart("it", spoil) == 2.0
    assert state() == before
    (tmp_path / "file").touch()
    assert (tmp_path / "file").stat().st_mode & 0o400


def refuse():
    raise UnitBenchError("file", "cause", "remedy")


def fail_to_write():
    raise WriteError("file", "cause", "remedy")


def abort():
    faulthandler.disable()  # pytest's would print the stack
    os.abort()


def orphan():
    if os.fork() == 0:
        time.sleep(100)
    abort()


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("function", "limits", "error", "line"),
    [
        (refuse, {}, UnitBenchError, "file: cause; remedy"),
        (fail_to_write, {}, WriteError, "file: cause; remedy"),
        (lambda: 1 / 0, {}, Ended, "it: ZeroDivisionError: division by zero"),
        (lambda: sys.exit(0), {}, Ended, "exit code 0"),
        (lambda: os._exit(3), {}, Ended, "exit code 3"),
        (abort, {}, Ended, "signal 6 (SIGABRT)"),
        (kill_itself, {}, Ended, "signal 9 (SIGKILL)"),
        (orphan, {}, Ended, "signal 6 (SIGABRT)"),
        (lambda: time.sleep(60), {"seconds": 0.2}, Ended, "did not end within 0.2 s"),
        (lambda: np.ones(2**30).sum(), {"memory": 2**30}, Ended, "Unable to allocate"),
    ],
)
def test_every_other_end_is_one_line(function, limits, error, line):
    with pytest.raises(error) as raised:
        apart("it", function, **limits)
    assert type(raised.value) is error
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_traceback_of_an_error_is_kept():
    with pytest.raises(Ended) as raised:
        apart("it", lambda: {}["key"])
    assert "test_apart.py" in raised.value.traceback


def test_output_is_shown_up_to_a_limit(capsys):
    def print_much():
        for _ in range(2 * MOST_OUTPUT // 1000):
            print("x" * 999)
        print("the end", file=sys.stderr)
        return 1

    assert apart("it", print_much) == 1
    assert capsys.readouterr().out.endswith("[more output is left out]\n")
    assert apart("it", print, "a few words") is None
    assert capsys.readouterr().out == "a few words\n"


def test_what_it_has_started_ends_with_it(tmp_path):
    def start():
        if (child := os.fork()) == 0:
            time.sleep(100)
        return child

    child = apart("it", start)
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(child, 0)
            with open(f"/proc/{child}/stat", encoding="utf-8") as file:
                if file.read().split()[2] == "Z":  # ended, not yet collected by the system's first process
                    raise ProcessLookupError
            time.sleep(0.05)
