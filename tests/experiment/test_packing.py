"""Jobs of 5 to 30 minutes, whose names stay; and what jobs ask of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.experiment import packing
from benchmark.experiment.cluster import _asked, memory, minutes
from benchmark.experiment.devices import Speeds
from benchmark.experiment.frozen import freeze
from benchmark.experiment.layout import open_run
from benchmark.experiment.packing import packed
from benchmark.experiment.plan import plan
from tests.helpers.measured import CONFIG, facts

FOUR = [{"method": "patch", "label": f"p{n}", "options": {"size": 4, "n_channels": 16}} for n in range(4)]
OPEN = {key: value for key, value in CONFIG.items() if key != "methods_per_job"}
HEAD = "s\th:m:s\tmax_rss\tmean_load\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(**changes)`: the run of a config of four methods that leaves the size of jobs open."""
    monkeypatch.chdir(tmp_path)
    _asked.cache_clear()

    def write(**changes):
        Path("tiny.yaml").write_text(yaml.safe_dump(OPEN | {"methods": FOUR} | changes))
        return open_run("tiny.yaml")

    return write


# With these facts a method takes 1 (untrained) + 2 + 10 (trained) = 13 s, and a job 4 + 3 s beside its arms.
@pytest.mark.parametrize(
    ("known", "size"),
    [
        ({}, 4),  # all four take 59 s: no job can last 5 minutes
        ({"start pretrain": 300}, 1),  # one method alone does
        ({"FLOP/s": 1e7}, 4),  # 103 s a method: 3 would take 316 s, and leave one of 110 s
        ({"FLOP/s": 5e6}, 2),  # 203 s a method: 2 take 413 s
        ({"FLOP/s": 1e6}, 1),  # 1,003 s a method, and two would be over 30 minutes
        ({"fold": 1500, "FLOP/s": 1e7}, 1),
        ({"FLOP/s": 1e5}, 1),  # one method takes longer than 30 minutes
    ],
)
def test_jobs_take_5_to_30_minutes(write, known, size):
    run, found = write(), facts(**known)
    chosen = packed(run, found)
    assert chosen.size == size
    costs = plan(chosen, found, Speeds(found))
    assert size == 1 or max(job.fit for job in costs.jobs.values()) <= packing.MOST
    assert len(costs.jobs) == 3 * -(-4 // size)


def test_what_was_not_measured_is_not_packed(write):
    found = facts()
    found._by_what.pop(("FLOP/s", "patch", True))
    assert packed(write(), found).size == 1


def test_what_the_config_sets_is_kept(write):
    assert packed(write(methods_per_job=3), facts()).size == 3


def test_folds_that_share_a_job_count_in_its_time(write):
    slow = facts(**{"FLOP/s": 1e7})  # 103 s a method: in three folds one method takes over 5 minutes
    assert packed(write(), slow).size == 4 and packed(write(folds_per_job=3), slow).size == 1


def test_once_jobs_have_names_they_keep_them(write, monkeypatch):
    monkeypatch.setattr(packing, "measured", lambda run: facts())
    run, _ = freeze(write())
    assert run.config.methods_per_job == 4 and list(write().jobs) == list(run.jobs)
    monkeypatch.setattr(packing, "measured", lambda run: facts(**{"FLOP/s": 1e7}))
    again, news = freeze(write(seeds=[1]))
    assert list(again.jobs) == list(run.jobs) and "(seeds)" in news


def test_a_job_asks_for_twice_what_its_step_took_and_more_at_each_attempt(write):
    run = write()
    assert (memory(run, "pretrain", None, 1), minutes(run, "pretrain", None, 1)) == (32000, 240), "nothing has run"
    _asked.cache_clear()
    beside = run.results.parent / "other/benchmarks/pretrain.fold0-0.tsv"
    beside.parent.mkdir(parents=True)
    beside.write_text(f"{HEAD}9000.5\t2:30:00\t7000.25\t1\n")
    assert (memory(run, "pretrain", None, 1), minutes(run, "pretrain", None, 1)) == (14001, 301)
    assert (memory(run, "pretrain", None, 3), minutes(run, "pretrain", None, 2)) == (56002, 601)
    assert (memory(run, "score", None, 1), minutes(run, "score", None, 1)) == (32000, 240)
    _asked.cache_clear()
    run.times.mkdir(parents=True)
    for job, rss in (("fold0-0", "3000.0"), ("fold1-0", "-")):
        (run.times / f"pretrain.{job}.tsv").write_text(f"{HEAD}100\t0:01:40\t{rss}\t1\n")
    assert (memory(run, "pretrain", None, 1), minutes(run, "pretrain", None, 1)) == (6000, 30), "its own come first"
