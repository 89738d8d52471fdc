"""Names that results of earlier runs have: another one would fit every arm again."""

from __future__ import annotations

import pytest
import yaml

from benchmark.core.files import write_json
from benchmark.data.corpus import open_corpus
from benchmark.experiment.fit import run_arms
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
    slides = {
        f"donor{n}_0": {"donor": f"donor{n}", "group": f"donor{n}", "n_spots": 9, "labels": {}, "sha256": 64 * str(n)}
        for n in (0, 1)
    }
    write_json(run.corpus / "record.json", {"slides": slides, "genes": ["a", "b"]})
    return run


def test_arms_have_the_names_and_keys_of_earlier_runs(run):
    records = run_arms(run.config, open_corpus(run.corpus), run.results, "other", "fold0", lambda *news: None)
    keys = {
        "other/fold0/0-seed0": "9e91ce5b0dc4",
        "other/fold0/0-seed1": "cc229aee8203",
        "other/fold0/1e+10-seed0": "5d378d3a2ebf",
        "other/fold0/1e+10-seed1": "7966e4e379eb",
    }
    assert {name: (run.results / "arms" / name / "key").read_text() for name in keys} == keys
    assert [record["key"] for record in records] == list(keys.values())


def test_jobs_and_their_files_have_the_names_of_earlier_runs(run):
    assert list(run.jobs) == ["fold0-0", "fold0-1", "fold1-0", "fold1-1", "all-0", "all-1"]
    files = [run.arms("all-1"), run.scores("all-1"), run.maps("all-1"), run.checked("all-1")]
    assert [path.relative_to(run.results).as_posix() for path in files] == [
        "jobs/all-1.arms.json",
        "jobs/all-1.scores.json",
        "jobs/all-1.maps.parquet",
        "checked/all-1.7c59aad86eba.json",
    ]
