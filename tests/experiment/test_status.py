"""The state of each arm: before a run, in the middle of one, after one was cut off, and at the end."""

from __future__ import annotations

import io
import os
import platform

import psutil
import pytest
import yaml
from rich.console import Console

from benchmark.core.files import write_json
from benchmark.data.corpus import open_corpus
from benchmark.experiment.arms import arm_key, folds_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.jobs import fit_jobs, score_job
from benchmark.experiment.layout import open_run
from benchmark.experiment.status import arm_states, status_table
from tests.helpers.plugins import install

FAILS = """
class Fails:
    unit = "none"

    def fit(self, corpus, budget, seed):
        raise ValueError("never fitted")

    def embed(self, slide):
        pass
"""
CONFIG = {
    "name": "small",
    "dataset": {"name": "simulated", "options": {"n_donors": 3, "shape": [12, 12], "n_genes": 40, "image": False}},
    "methods": ["random", "fails", "scgpt_official"],
    "splits": {"donor_folds": 3, "random_repeats": 0},
    "methods_per_job": 3,
    "seeds": [0],
    "neighbours": [0],
    "tasks": ["domain"],
}


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """`opened(changes)`: a run of the config with these keys changed, all in one folder."""
    install(tmp_path / "site", "failing", FAILS, "fails = failing:Fails")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)

    def opened(**changes):
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(CONFIG | changes))
        return open_run("small.yaml")

    return opened


@pytest.fixture
def prepared(opened, tissue):
    """The run with its corpus, before any arm has begun."""
    run = opened()
    run.corpus.parent.mkdir(parents=True)
    run.corpus.symlink_to(tissue.kept(""))
    return run


def begin(run, name: str) -> None:
    """Mark an arm as begun."""
    corpus = open_corpus(run.corpus)
    arm = next(arm for arms in run.plan().values() for arm in arms if arm.name == name)
    ArmFolder(run.results, name).begin(arm_key(run.config, corpus, folds_of(run.config, corpus)[arm.fold], arm))


def report(run, name: str, arm: str, **changes) -> None:
    """A report of this process, as `progress.reporter` writes it."""
    process = {"host": platform.node(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    values = {"arm": arm, "done": 0, "expected": 3, "fraction": 0.25, "text": "loss 1"}
    write_json(run.progress(name), process | values | changes)


def states(run) -> dict[str, tuple[str, str]]:
    return {status.arm: (status.state, status.detail) for status in arm_states(run)}


def test_without_a_corpus_all_arms_wait(opened):
    listed = arm_states(opened())
    assert [status.job for status in listed[:4]] == ["fold0-0", "fold0-0", "fold0-0", "fold1-0"]
    assert [status.arm for status in listed[:2]] == ["random/fold0/0-seed0", "fails/fold0/0-seed0"]
    assert len(listed) == 9 and {status[2:] for status in listed} == {("waiting", "", False)}


def test_a_finished_job(prepared):
    corpus = open_corpus(prepared.corpus)
    fit_jobs(prepared, corpus, ["fold0-0"])
    assert states(prepared) == {
        "random/fold0/0-seed0": ("ok", ""),
        "fails/fold0/0-seed0": (
            "failed",
            "ValueError at failing.py:6: never fitted; traceback: arms/fails/fold0/0-seed0/error.txt",
        ),
        "scgpt_official/fold0/0-seed0": ("not applicable", "no checkpoint"),
    } | {f"{m}/fold{fold}/0-seed0": ("waiting", "") for m in CONFIG["methods"] for fold in (1, 2)}
    assert not any(status.scored for status in arm_states(prepared))
    score_job(prepared, corpus, "fold0-0")
    assert [status.scored for status in arm_states(prepared)] == [True] * 3 + [False] * 6


def test_results_of_other_settings_do_not_count(prepared, opened):
    fit_jobs(prepared, open_corpus(prepared.corpus), ["fold0-0"])
    others = states(opened(tasks=["clustering"]))
    assert others["random/fold0/0-seed0"] == ("waiting", "fitted, and lacks outputs of a task")
    assert others["fails/fold0/0-seed0"][0] == "failed"
    assert {state for state, _ in states(opened(splits={"donor_folds": 2})).values()} == {"waiting"}


def test_a_job_at_work_fits_one_arm(prepared):
    begin(prepared, "random/fold0/0-seed0")
    begin(prepared, "fails/fold0/0-seed0")  # by an earlier process, which was killed
    report(prepared, "fold0-0", "")
    assert states(prepared)["random/fold0/0-seed0"] == ("running", "0% of its budget")
    report(prepared, "fold0-0", "random/fold0/0-seed0")
    assert states(prepared)["random/fold0/0-seed0"] == ("running", "25% of its budget")
    assert states(prepared)["fails/fold0/0-seed0"] == ("cut off", "")
    assert states(prepared)["random/fold1/0-seed0"] == ("waiting", "")


def test_an_arm_that_is_fitted_alone(prepared):
    begin(prepared, "random/fold0/0-seed0")
    report(prepared, "random/fold0/0-seed0", "random/fold0/0-seed0", fraction=0.5)
    assert states(prepared)["random/fold0/0-seed0"] == ("running", "50% of its budget")


@pytest.mark.parametrize("changes", [{"pid": 2**22 + 1}, {"started": 0.0}], ids=["process gone", "number used again"])
def test_an_arm_whose_process_has_ended_is_cut_off(prepared, changes):
    begin(prepared, "random/fold0/0-seed0")
    report(prepared, "fold0-0", "random/fold0/0-seed0", **changes)
    assert states(prepared)["random/fold0/0-seed0"] == ("cut off", "")
    ArmFolder(prepared.results, "random/fold0/0-seed0").checkpoint.touch()
    assert states(prepared)["random/fold0/0-seed0"] == ("cut off", "has a checkpoint")


def test_an_old_report_does_not_name_its_process(prepared):
    begin(prepared, "random/fold0/0-seed0")
    write_json(prepared.progress("fold0-0"), {"arm": "random/fold0/0-seed0", "done": 0, "fraction": 0.5, "text": ""})
    assert states(prepared)["random/fold0/0-seed0"] == ("cut off", "")


def test_a_process_of_another_host_counts_as_running(prepared):
    begin(prepared, "random/fold0/0-seed0")
    report(prepared, "fold0-0", "random/fold0/0-seed0", host="elsewhere", pid=2**22 + 1)
    assert states(prepared)["random/fold0/0-seed0"][0] == "running"


def test_the_table_counts_the_states(prepared):
    fit_jobs(prepared, open_corpus(prepared.corpus), ["fold0-0"])
    console = Console(record=True, width=150, file=io.StringIO())
    console.print(status_table(arm_states(prepared)))
    text = console.export_text()
    assert "9 arms: 1 ok, 1 failed, 1 not applicable, 6 waiting; 0 scored" in text
    assert "never fitted" in text
