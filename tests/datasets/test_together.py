"""Several datasets in one run: names, roles, folds, and scores that are each of one dataset."""

import json

import pytest
import yaml

from benchmark.core.config import Config, read_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.typed_values import build
from benchmark.data.prepare import prepare
from benchmark.experiment.arms import folds_of
from benchmark.experiment.layout import source
from benchmark.experiment.score import score_arms
from tests.helpers.arms import run

SMALL = {"n_donors": 2, "slides_per_donor": 1, "shape": [8, 8], "image": False}
VALUES = {
    "name": "both",
    "datasets": {
        "a": {"name": "simulated", "options": {**SMALL, "n_genes": 30, "seed": 1}},
        "b": {"name": "simulated", "options": {**SMALL, "n_genes": 40, "seed": 2}, "role": "pretrain"},
    },
    "methods": ["pca", {"method": "patch", "options": {"size": 4, "n_channels": 20, "preset": "nano"}}],
    "tasks": ["domain"],
    "budget": {"axis": "spots", "amounts": [2000]},
    "splits": {"random_repeats": 1},
    "seeds": [0],
}


def config(**roles):
    parts = {name: part | ({"role": roles[name]} if name in roles else {}) for name, part in VALUES["datasets"].items()}
    return build(Config, VALUES | {"datasets": parts}, "test")


def corpus_of(values, folder):
    return prepare(source(values), folder)


def test_slides_donors_and_groups_are_called_after_their_dataset(tmp_path):
    corpus = corpus_of(config(), tmp_path)
    assert corpus.names == ("a.donor0_0", "a.donor1_0", "b.donor0_0", "b.donor1_0")
    slide = corpus["b.donor1_0"]
    assert (slide.uns["slide"], slide.uns["donor"], slide.uns["group"]) == ("b.donor1_0", "b.donor1", "b.donor1")
    assert len(corpus.genes) == 40 and corpus.common.sum() == 30
    assert corpus.evaluated.names == ("a.donor0_0", "a.donor1_0")
    assert json.loads(json.dumps(corpus.record["datasets"]["b"]))["role"] == "pretrain"


@pytest.mark.parametrize(
    ("roles", "learn", "fit"),
    [
        ({}, "a.donor1_0 b.donor0_0 b.donor1_0", "a.donor1_0"),
        ({"a": "evaluate"}, "b.donor0_0 b.donor1_0", "a.donor1_0"),
        ({"b": "both"}, "a.donor1_0 b.donor0_0 b.donor1_0", "a.donor1_0 b.donor0_0 b.donor1_0"),
        ({"b": "evaluate"}, "a.donor1_0", "a.donor1_0 b.donor0_0 b.donor1_0"),
    ],
)
def test_a_fold_learns_by_the_roles(roles, learn, fit, tmp_path):
    values = config(**roles)
    fold = folds_of(values, corpus_of(values, tmp_path))["fold0"]
    assert fold.test == ("a.donor0_0",)
    assert fold.learn == tuple(learn.split()) and fold.fit == tuple(fit.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": {"name": "simulated"}}, "give either `dataset` or `datasets`"),
        ({"datasets": {}}, "give either `dataset` or `datasets`"),
        ({"datasets": {"a": VALUES["datasets"]["b"]}}, "every role is `pretrain`"),
        ({"datasets": {"a": VALUES["datasets"]["a"] | {"role": "evaluate"}}}, "every role is `evaluate`"),
        ({"datasets": {"a": VALUES["datasets"]["a"] | {"role": "train"}}}, "role"),
        ({"datasets": {"a.b": VALUES["datasets"]["a"]}}, "datasets"),
    ],
)
def test_datasets_that_cannot_be_meant_are_one_line(change, message):
    with pytest.raises(UnitBenchError, match=message) as error:
        build(Config, VALUES | change, "mine.yaml")
    assert "\n" not in str(error.value)


def test_datasets_stand_in_place_of_the_dataset_of_the_file_that_is_extended(tmp_path):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(VALUES | {"datasets": {}, "dataset": {"name": "simulated"}}))
    (tmp_path / "one.yaml").write_text(
        yaml.safe_dump({k: v for k, v in VALUES.items() if k != "datasets"} | {"dataset": {"name": "simulated"}})
    )
    (tmp_path / "two.yaml").write_text(yaml.safe_dump({"extends": "one.yaml", "datasets": VALUES["datasets"]}))
    assert list(read_config(tmp_path / "two.yaml").datasets) == ["a", "b"]


def test_each_dataset_has_scores_of_its_own_and_the_hash_of_its_own_slides(tmp_path):
    values = config(b="both")
    corpus = corpus_of(values, tmp_path / "corpus")
    records = [r for fold in folds_of(values, corpus) for r in run(values, corpus, tmp_path, "pca", fold)[0]]
    rows, _ = score_arms(values, corpus, tmp_path, records)
    scored = [row for row in rows if row.task == "domain" and row.status == "ok"]
    parts = corpus.by_dataset()
    assert set(parts) == {"simulated.a", "simulated.b"}
    for name, part in parts.items():
        own = [row for row in scored if row.dataset == name]
        assert {row.data for row in own} == {part.digest}
        assert {row.slide for row in own} - {"pooled"} == set(part.names)
        # A probe learns from the slide of the other donor of its own dataset: up to 64 spots have a label.
        assert all(0 < row.n_train <= 64 for row in own if row.split == "donor")
    assert len({row.data for row in scored}) == 2
    # One protocol a split, the same for both datasets. A random split leaves too few spots of a label on 64.
    of_a_split = {(row.split, row.protocol) for row in rows if row.task == "domain"}
    assert {split for split, _ in of_a_split} == {"donor", "random"} and len(of_a_split) == 2


def test_a_transfer_run_learns_from_one_dataset_and_scores_the_other(tmp_path):
    values = config(a="evaluate", b="pretrain")
    corpus = corpus_of(values, tmp_path / "corpus")
    (record,), _ = run(values, corpus, tmp_path, "pca", "fold0")
    assert record["seen"]["learn"] == ["b.donor0_0", "b.donor1_0"] and record["seen"]["test"] == ["a.donor0_0"]
    assert not record["seen"]["transductive"]
    rows, _ = score_arms(values, corpus, tmp_path, [record])
    assert {row.dataset for row in rows} == {"simulated.a"}
    assert all(row.status == "ok" for row in rows if row.task == "domain" and row.split == "donor")
