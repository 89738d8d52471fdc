"""Annotation: metrics worked by hand, and labels from the column of obs that the task names."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.config import Config
from benchmark.core.contracts import Spots
from benchmark.core.typed_values import build
from benchmark.data.prepare import write_corpus
from benchmark.experiment.fit import run_arms
from benchmark.experiment.score import score_arms
from benchmark.metrics import labels
from benchmark.tasks.annotation import Annotation


def test_precision_and_f1_are_as_worked_by_hand():
    truth = np.array(["a", "a", "a", "b", "c"])
    predicted = np.array(["a", "a", "b", "b", "d"])
    # a: precision 1, recall 2/3; b: precision 1/2, recall 1; c is never predicted; d is in no test spot.
    scores = labels.annotation(truth, predicted)
    assert scores["macro_precision"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)


@pytest.mark.filterwarnings("ignore:A single label")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_f1_is_that_of_domain_detection(pairs):
    truth, predicted = np.array(pairs).T
    assert labels.annotation(truth, predicted)["macro_f1"] == pytest.approx(
        labels.classification(truth, predicted)["macro_f1"]
    )


def test_separate_labels_are_found_by_both_probes_and_not_by_the_majority():
    label = np.array(["a", "b", "c"] * 20)
    embedding = 20 * np.eye(3)[np.arange(60) % 3] + np.random.default_rng(0).standard_normal((60, 3))
    spots = Spots(embedding.astype(np.float32), label, np.full(60, "s"))
    scores = {(row.setting, row.metric): row.value for row in Annotation().score(spots, spots, 0)}
    assert {setting for setting, _ in scores} == {"linear", "mlp", "majority"}
    assert scores["linear", "macro_f1"] == scores["mlp", "macro_precision"] == 1
    assert scores["majority", "macro_f1"] == pytest.approx(0.5 / 3)  # precision 1/3, recall 1, of one label in three


# The column of the labels


def run(corpus, results, tasks, fold="fold0") -> pd.DataFrame:
    values = {"name": "small", "dataset": {"name": "simulated"}, "methods": ["pca"], "tasks": tasks}
    values |= {"splits": {"donor_folds": 3, "random_repeats": 1}, "seeds": [0], "neighbours": [0]}
    config = build(Config, values, "test")
    records = run_arms(config, corpus, results, [("pca", fold)], lambda *news: None)
    rows, _ = score_arms(config, corpus, results, records)
    return pd.DataFrame([row.model_dump() for row in rows if row.task not in ("arm", "cost")])


@pytest.fixture(scope="module")
def typed(tissue, tmp_path_factory):
    """The tissue with cell types only: no domain is labelled, and a third of the first slide has no type."""
    slides = [slide.copy() for slide in tissue]
    for slide in slides:
        del slide.obs["label"]
    slides[0].obs["cell_type"] = slides[0].obs["cell_type"].where(np.arange(slides[0].n_obs) % 3 > 0)
    return write_corpus(slides, tmp_path_factory.mktemp("typed"), {"name": "typed"})


def test_another_column_of_obs_gives_the_labels(typed, tmp_path):
    tasks = ["domain", {"task": "annotation", "options": {"key": "cell_type", "min_support": 2}}]
    rows = run(typed, tmp_path, tasks)
    annotated = rows[(rows["task"] == "annotation") & (rows["status"] == "ok")]
    assert annotated.groupby("slide")["n_test"].unique().str[0].to_dict() == {
        slide: int(typed[slide].obs["cell_type"].notna().sum()) for slide in ("donor0_0", "donor0_1")
    }
    domain_rows = rows[rows["task"] == "domain"]
    assert set(domain_rows["reason"]) == {"no labelled slide to learn from"}
    within = run(typed, tmp_path, tasks, "all")
    assert set(within.loc[within["status"] == "ok", "split"]) == {"random"}


def test_a_column_that_no_slide_has_is_named(typed, tmp_path):
    rows = run(typed, tmp_path, [{"task": "annotation", "options": {"key": "grade"}}])
    assert set(rows["reason"]) == {"no slide labelled by 'grade' to learn from"}
