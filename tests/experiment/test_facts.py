"""What was measured: which facts answer a question, what a finished run tells, and short trials on this machine."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from benchmark.core.files import read_json, write_json
from benchmark.core.scores import COLUMNS, Score, write_table
from benchmark.experiment import earlier as earlier_runs
from benchmark.experiment import trial
from benchmark.experiment.earlier import earlier, facts_of
from benchmark.experiment.facts import Fact, Facts
from benchmark.experiment.layout import Run
from benchmark.training.flops import count_flops
from tests.helpers.arms import PATCH, config

METHODS = [
    {"method": "patch", "label": "small", "options": {"size": 4}, "folds": {}},
    {"method": "pca", "label": "pca", "options": {}, "folds": {}},
]
SMALL = '{"method": "patch", "size": 4}'
HEAD = "s\th:m:s\tmax_rss\n"


def test_the_nearest_facts_answer():
    far = Fact("arm", 100, "far", machine="other", method="pca", options="a", dataset="ours", spots=100)
    near = Fact("arm", 10, "near", machine="here", method="pca", options="b", dataset="theirs", spots=100)
    known = Facts([far, near], "here", "ours", 200)
    assert known.find("arm", "pca", "a") == (20, "near; with other options; on theirs, in proportion to the spots")
    assert Facts([far], "here", "ours", 200).find("arm", "pca", "a") == (200, "far; measured on other")
    alike = Fact("arm", 3, "alike", machine="here", method="pca", options="a", dataset="ours", spots=200)
    known = Facts([far, near, alike, *[alike] * 2], "here", "ours", 200)
    assert known.find("arm", "pca", "a") == (3, "alike")
    assert math.isnan(known.find("arm", "patch").value) and not known.find("arm", "patch").known


def test_of_equally_near_facts_the_higher_rank_counts():
    twice = [Fact("FLOP/s", value, "", "here", "patch", "a", True, rank=rank) for value, rank in ((1, 0), (2, 1))]
    assert Facts(twice, "here").exactly("FLOP/s", "patch", "a", "here").value == 2
    assert not Facts(twice, "here").exactly("FLOP/s", "patch", "b", "here").known
    assert not Facts(twice, "here").exactly("FLOP/s", "patch", "a", "there").known
    assert Facts(twice, "there").exactly("FLOP/s", "patch", "a", None).known


def test_memory_is_the_greatest_that_was_seen_of_these_options_here_on_this_dataset():
    like = {"method": "patch", "options": "a", "trained": True, "machine": "here"}
    trial_, run = Fact("memory", 5, "a trial", **like, rank=2), Fact("memory", 7, "a run", **like, dataset="ours")
    others = [Fact("memory", 9, "", **like, dataset="theirs"), Fact("memory", 9, "", **like | {"machine": "there"})]
    assert Facts([trial_, run, *others], "here", "ours").most("memory", "patch", "a") == (7, "a run")
    assert Facts([trial_, *others], "here", "ours").most("memory", "patch", "a") == (5, "a trial")
    assert not Facts(others, "here", "ours").most("memory", "patch", "a").known


def row(method, budget, seed, metric, value, task="cost", split="none", slide="pooled", neighbours=0):
    shared = {"dataset": "made up", "unit": "patch", "options": "{}", "budget_axis": "flops", "setting": "x"}
    place = {"method": method, "budget": budget, "seed": seed, "fold": "fold0", "split": split, "slide": slide}
    return Score(**shared, **place, task=task, metric=metric, value=value, neighbours=neighbours).model_dump()


@pytest.fixture
def finished(tmp_path):
    """The folder of a finished run of one job: `small` untrained and trained, with two seeds, and `pca`."""
    rows = []
    for method, budget, seed, seconds, device in (
        ("small", 0.0, 0, 9.0, None),  # the first one: 7 s more than its entry takes otherwise
        ("small", 0.0, 1, 2.0, None),
        ("small", 1e9, 0, 12.0, 10.0),
        ("small", 1e9, 1, 22.0, 20.0),
        ("pca", 0.0, 0, 0.5, None),
        ("pca", 0.0, 1, 0.25, None),
    ):
        rows.append(row(method, budget, seed, "arm_seconds", seconds))
        if device:
            costs = {"device_seconds": device, "flops": 1e9, "steps": 10, "spots_seen": 400, "peak_memory_bytes": 7e8}
            rows += [row(method, budget, seed, name, value) for name, value in costs.items()]
        for k in (0, 8):  # two metrics of one task with each number of neighbours: two units
            rows += [row(method, budget, seed, name, 0.5, "domain", "donor", "s", k) for name in ("ari", "nmi")]
    folder = tmp_path / "results" / "done"
    write_table(folder / "scores.parquet", pd.DataFrame(rows, columns=COLUMNS))
    manifest = {
        "device": {"processor": "a processor"},
        "arms": [{"device": "cpu"}],
        "data": {"name": "made up", "spots": 750, "slides": 3},
        "folds": {"fold0": {"learn": ["s"], "fit": ["s"], "test": ["t"]}},  # so a third slide of 250 spots is left out
        "config": {"methods": METHODS, "methods_per_job": 2},
    }
    write_json(folder / "manifest.json", manifest)
    times = {"prepare": (3.0, None), "pretrain.fold0-0": (60.0, 50.0), "score.fold0-0": (10.0, 6.0)}
    for step, (total, work) in times.items():
        (folder / "benchmarks").mkdir(exist_ok=True)
        (folder / f"benchmarks/{step}.tsv").write_text(f"{HEAD}{total}\t0:00:01\t100\n")
        if work:
            (folder / f"benchmarks/{step}.json").write_text(str(work))
    records = [{"method": "small", "amount": 1e9, "files": {"a.npz": {"bytes": 30}, "b": {"bytes": 12}}}]
    write_json(folder / "jobs/fold0-0.arms.json", records)
    return folder


def test_facts_of_a_finished_run_by_hand(finished):
    known = Facts(facts_of(finished), "a processor", "made up", 1000)

    def value(what, *of):
        return known.find(what, *of).value

    assert value("fold", "patch") == 2 * 7 and value("fold", "pca") == 2 * 0.25  # twice the spots of that run
    assert value("arm", "patch", SMALL, False) == 2 * 2 and value("arm", "patch", SMALL, True) == 2 * 2
    assert value("arm", "pca", '{"method": "pca"}', False) == 2 * 0.25
    assert value("FLOP/s", "patch", SMALL, True) == pytest.approx(2e9 / 30)
    assert value("step FLOPs", "patch", SMALL, True) == 1e8 and value("step spots", "patch", SMALL, True) == 40
    assert value("memory", "patch", SMALL, True) == 7e8 and value("bytes", "patch", SMALL, True) == 2 * 42
    assert value("prepare") == 3 and value("start pretrain") == 10 and value("start score") == 4
    assert value("unit donor") == 2 * 6 / 12 and not known.find("unit within").known  # 6 arms, 2 units each
    assert known.find("arm", "patch", SMALL, True).source == str(finished)


def test_a_damaged_run_tells_nothing_and_stops_no_plan(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(earlier_runs, "REFERENCE", tmp_path / "none")
    assert {fact.rank for fact in earlier(finished.parent)} == {1}
    (finished / "scores.parquet").write_bytes(b"no table")
    assert earlier(finished.parent) == []


def test_the_committed_runs_are_facts_too(tmp_path):
    known = Facts(earlier(tmp_path), "AMD EPYC", "dlpfc", 0)
    found = known.exactly("FLOP/s", "context", '{"method": "context", "side": 8}', "AMD EPYC")
    assert found.known and found.source.startswith("results/reference/context/")


def test_a_trial_counts_the_step_and_is_made_once(tissue, micro_trunk, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 1.0)
    run, said = Run(tmp_path / "c.yaml", config(methods=["random", PATCH]), tmp_path / "small"), []
    monkeypatch.setattr(trial, "open_corpus", lambda folder: tissue)
    found = {fact.what: fact for fact in trial.trials(run, said.append)}
    assert said == ["trying patch for a few seconds"], "what learns nothing is not tried"
    patch = config(methods=[PATCH]).methods[0]
    assert {(fact.method, fact.options, fact.trained) for fact in found.values()} == {("patch", patch.canonical, True)}
    assert found["step FLOPs"].value == pytest.approx(_flops_of_a_step(tissue))
    slide = min(tissue.record["slides"][name]["n_spots"] for name in tissue.names)
    assert found["vectors"].value == 4 * 16 * found["vectors"].spots and found["vectors"].spots >= slide
    assert found["FLOP/s"].value > 0 and found["memory"].value > 1e7 and found["embed"].value > 0
    assert [fact.value for fact in trial.trials(run, said.append)] == [fact.value for fact in found.values()]
    assert len(said) == 1
    monkeypatch.setattr(trial, "processor", lambda: "another one")
    trial.trials(run, said.append)
    assert len(said) == 2 and len(read_json(run.trials)) == 2


def _flops_of_a_step(tissue) -> int:
    import numpy as np
    import torch

    from benchmark.core import registry
    from benchmark.model.trunk import PRESETS
    from benchmark.training.learner import module_for
    from benchmark.training.loop import draw_hidden, samples_per_step, tensors

    unit = registry.make("methods", "patch", PATCH["options"]).sampler.fit(tissue)
    module = module_for("patch")(torch.zeros(len(tissue.genes)), PRESETS["micro"])
    batch = tensors(unit.draw(tissue, samples_per_step(unit, tissue), np.random.default_rng(0)))
    return count_flops(module, batch, *draw_hidden(module, batch, 0, 0, torch.device("cpu")))


def test_a_method_that_cannot_be_tried_has_no_facts_and_says_why(tissue, tmp_path, monkeypatch):
    bad = {"method": "patch", "options": {"size": 4, "n_channels": 16, "preset": "unknown"}}
    run = Run(tmp_path / "c.yaml", config(methods=[bad]), tmp_path / "small")
    monkeypatch.setattr(trial, "open_corpus", lambda folder: tissue)
    assert trial.trials(run, lambda line: None) == []
    (kept,) = json.loads(run.trials.read_text()).values()
    assert "took no step" in kept["reason"] and "unknown" in kept["reason"]


def test_the_size_of_a_run_is_that_of_the_slides_that_it_used(finished):
    manifest = read_json(finished / "manifest.json", dict)
    manifest["data"]["spots_of_slides"] = {"s": 500, "t": 200, "left out": 50}
    write_json(finished / "manifest.json", manifest)
    assert {fact.spots for fact in facts_of(finished)} == {0, 700}
