"""Names that results of earlier runs have."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.core.files import write_json
from benchmark.data.corpus import open_corpus
from benchmark.experiment.arms import arm_key, arms, folds_of
from benchmark.experiment.layout import open_run
from tests.helpers.plugins import install

FAILS = """
class Fails:
    unit = "patch"

    def __init__(self, size: int = 8):
        pass

    def fit(self, corpus, budget, seed):
        raise ValueError("never fitted")
"""
CONFIG = {
    "name": "named",
    "dataset": {"name": "simulated", "options": {"n_donors": 2, "slides_per_donor": 1}},
    "methods": ["fails", {"method": "fails", "label": "other", "options": {"size": 4}}],
    "budget": {"axis": "flops", "amounts": [0, 1e10]},
    "splits": {"donor_folds": 2, "random_repeats": 1},
    "seeds": [0, 1],
    "tasks": ["domain", {"task": "reconstruction", "options": {"n_genes": 20}}],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two made-up slides, of a method of fixed version."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    install(tmp_path / "site", "failing", FAILS, "fails = failing:Fails")
    (tmp_path / "named.yaml").write_text(yaml.safe_dump(CONFIG))
    run = open_run("named.yaml")
    same = {"n_spots": 9, "labels": {}, "panel": 0, "role": "both", "dataset": "simulated"}
    slides = {
        f"donor{n}_0": {"donor": f"donor{n}", "group": f"donor{n}", "sha256": 64 * str(n), **same} for n in (0, 1)
    }
    write_json(run.corpus / "record.json", {"slides": slides, "genes": ["a", "b"]})
    return run


def test_arms_have_the_names_of_earlier_runs_and_a_key_each(run):
    corpus = open_corpus(run.corpus)
    found = list(arms(run.config, "other", "patch", "fold0"))
    names = ["0-seed0", "0-seed1", "1e+10-seed0", "1e+10-seed1"]
    assert [arm.name for arm in found] == [f"other/fold0/{name}" for name in names]
    assert len({arm_key(run.config, corpus, folds_of(run.config, corpus)["fold0"], arm) for arm in found}) == 4


def test_jobs_and_their_files_have_the_names_of_earlier_runs(run):
    assert list(run.jobs) == ["fold0-0", "fold0-1", "fold1-0", "fold1-1", "all-0", "all-1"]
    files = [run.arms("all-1"), run.scores("all-1"), run.maps("all-1")]
    assert [path.relative_to(run.results).as_posix() for path in files] == [
        "jobs/all-1.arms.json",
        "jobs/all-1.scores.json",
        "jobs/all-1.maps.parquet",
    ]


def test_a_job_of_several_folds_has_the_name_of_the_first_and_the_fold_within_slides_its_own(run):
    three = {"n_donors": 3, "slides_per_donor": 1}
    changes = {"dataset": {"name": "simulated", "options": three}, "methods_per_job": 2, "folds_per_job": 2}
    Path("named.yaml").write_text(yaml.safe_dump(CONFIG | changes | {"splits": {"donor_folds": 3}}))
    both = ("fails", "other")
    assert open_run("named.yaml").jobs == {
        "fold0-0": [(label, fold) for fold in ("fold0", "fold1") for label in both],
        "fold2-0": [(label, "fold2") for label in both],
        "all-0": [(label, "all") for label in both],
    }


def test_the_mark_of_a_job_is_named_by_what_its_fit_depends_on(run):
    before = {job: run.checked(job) for job in run.jobs}
    values = CONFIG | {"methods": ["fails", {"method": "fails", "label": "other", "options": {"size": 5}}]}
    Path("named.yaml").write_text(yaml.safe_dump(values))
    changed = open_run("named.yaml")
    assert {job for job in changed.jobs if changed.checked(job) != before[job]} == {"fold0-1", "fold1-1", "all-1"}
