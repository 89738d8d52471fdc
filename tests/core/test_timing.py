"""Where the time goes: a hand-worked line, and a clock that stops while something is imported."""

from __future__ import annotations

import builtins
from types import SimpleNamespace

import pytest

from benchmark.core import timing
from benchmark.core.timing import Work, read_times, time_line


@pytest.fixture
def fake_time(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now.seconds)
    return now


def test_the_line_is_worked_by_hand():
    """100 s in all, 80 of them work; of the other 20, 12 in the two jobs that work, 5 + 1 before and 2 after them."""
    total = {"prepare": 5, "check": 1, "pretrain.fold0-0": 70, "score.fold0-0": 22, "report": 2}
    line = time_line(total, {"pretrain.fold0-0": 62, "score.fold0-0": 18})
    assert line == (
        "time: 100 core-seconds, 80.0% of it training and scoring "
        "(20.0% outside: start-up and files 12.0%, preparing 6.0%, tables and report 2.0%)"
    )


def test_times_are_read_from_the_files_of_the_run_that_are_its_own(tmp_path):
    for job, seconds in {"prepare": "3.5", "pretrain.fold0-0": "10.0", "pretrain.old-0": "99"}.items():
        (tmp_path / f"{job}.tsv").write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:03\t-\n")
    (tmp_path / "pretrain.fold0-0.json").write_text("7.25\n")
    total, work = read_times(tmp_path, ["prepare", "pretrain.fold0-0", "report"])
    assert total == {"prepare": 3.5, "pretrain.fold0-0": 10.0}
    assert work == {"prepare": 0.0, "pretrain.fold0-0": 7.25}


def test_imports_and_what_is_outside_do_not_count_as_work(tmp_path, monkeypatch, fake_time):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(timing.time, "now", fake_time, raising=False)
    takes = "import time\ntime.now.seconds += {}\n"
    (tmp_path / "a_slow_one.py").write_text(takes.format(100) + "import a_slow_one_within\n")
    (tmp_path / "a_slow_one_within.py").write_text(takes.format(1000))
    work, before = Work(), builtins.__import__
    fake_time.seconds += 1
    with work:
        fake_time.seconds += 2
        import a_slow_one  # noqa: F401

        fake_time.seconds += 4
    fake_time.seconds += 8
    with pytest.raises(KeyError), work:
        fake_time.seconds += 16
        raise KeyError
    assert work.seconds == 2 + 4 + 16
    assert fake_time.seconds == 1131
    assert builtins.__import__ is before
