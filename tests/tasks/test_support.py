"""Labels of few spots and slides of one label: what a macro mean is taken over, and which slides tell nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.config import Task
from benchmark.core.contracts import Measured, NotApplicable, Spots
from benchmark.metrics import labels
from benchmark.tasks import probes
from benchmark.tasks.annotation import Annotation
from benchmark.tasks.clustering import Clustering
from benchmark.tasks.domain import Domain
from benchmark.tasks.label_from_image import LabelFromImage

TASKS = (Domain, Annotation, Clustering, LabelFromImage)


def spots(label: list[str], slide: list[str], seed: int = 0) -> Spots:
    """Spots whose embedding is the label and some noise."""
    number = np.unique(label, return_inverse=True)[1]
    embedding = 9 * np.eye(4)[number] + np.random.default_rng(seed).standard_normal((len(label), 4))
    return Spots(embedding.astype(np.float32), np.array(label), np.array(slide))


# By hand


def test_a_label_of_few_spots_counts_in_the_accuracy_and_in_no_macro_mean():
    truth = np.array(["a"] * 10 + ["b"] * 10 + ["c"] * 2)
    predicted = np.array(["a"] * 10 + ["b"] * 5 + ["a"] * 5 + ["b"] * 2)
    scores = labels.classification(truth, predicted, min_support=10)
    # a: precision 10/15, recall 1. b: precision 5/7, since both spots of c are called b, recall 1/2.
    f1 = 2 * 10 / (10 + 15), 2 * 5 / (10 + 7)
    assert scores["macro_f1"] == pytest.approx(np.mean(f1))
    assert scores["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert scores["accuracy"] == pytest.approx(15 / 22)
    precise = labels.annotation(truth, predicted, min_support=10)
    assert precise["macro_f1"] == scores["macro_f1"]
    assert precise["macro_precision"] == pytest.approx((10 / 15 + 5 / 7) / 2)
    with_all = labels.classification(truth, predicted, min_support=2)
    assert with_all["macro_f1"] == pytest.approx(sum(f1) / 3)  # c was never predicted


def test_two_spots_do_not_move_a_macro_mean():
    train = spots(["a", "b", "c"] * 30, ["s0"] * 90)
    label = ["a"] * 30 + ["b"] * 30 + ["c"] * 2
    test = spots(label, ["s1"] * 62, seed=1)
    wrong = test.embedding.copy()
    wrong[-2:] = train.embedding[:1]  # both spots of c look like a
    scores = []
    for embedding in (test.embedding, wrong):
        rows = Domain().score(train, Spots(embedding, test.label, test.slide), 0)
        scores.append({row.metric: row.value for row in rows if row.setting == "knn"})
    right, missed = scores
    assert missed["accuracy"] == pytest.approx(right["accuracy"] - 2 / 62)
    assert missed["macro_f1"] > right["macro_f1"] - 0.02  # with c in the mean: a third less


# Slides that tell nothing


@pytest.mark.parametrize("task", TASKS)
def test_a_slide_without_two_labels_of_support_is_named_and_not_scored(task):
    train = spots(["a", "b"] * 30, ["s0"] * 60)
    test = spots(["a", "b"] * 15 + ["a"] * 28 + ["b"] * 2, ["s1"] * 30 + ["s2"] * 30, seed=1)
    rows = list(task().score(train, test, 0))
    absent = {(row.setting, row.slide) for row in rows if isinstance(row, NotApplicable)}
    measured = {(row.setting, row.slide) for row in rows if isinstance(row, Measured)}
    assert {slide for _, slide in absent} == {"s2"} and {slide for _, slide in measured} == {"s1"}
    assert {setting for setting, _ in absent} == {setting for setting, _ in measured}
    reasons = {row.reason for row in rows if isinstance(row, NotApplicable)}
    assert reasons == {"labels with at least 10 spots: 1, 2 are needed"}
    assert all(isinstance(row, Measured) for row in task(min_support=2).score(train, test, 0))


def test_a_constant_answer_is_never_right_everywhere():
    """A slide of one label gave everybody 1.00, the majority too."""
    train = spots(["a", "b"] * 30, ["s0"] * 60)
    test = spots(["a"] * 30, ["s1"] * 30, seed=1)
    assert all(isinstance(row, NotApplicable) for row in Domain().score(train, test, 0))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 12))
def test_the_majority_reaches_at_most_half_of_what_is_measured(label, least):
    train, test = spots(["a", "b", "c"] * 20, ["s0"] * 60), spots(label, ["s1"] * len(label))
    rows = [row for row in Domain(least).score(train, test, 0) if row.setting == "majority"]
    scores = {row.metric: row.value for row in rows if isinstance(row, Measured)}
    assert bool(scores) == (sum(label.count(letter) >= least for letter in "abc") > 1)
    assert scores.get("balanced_accuracy", 0) <= 0.5 and scores.get("macro_f1", 0) <= 0.5


def test_a_label_of_the_slide_is_scored_over_all_test_slides_together():
    train = spots(["er+"] * 20 + ["er-"] * 20, ["s0"] * 20 + ["s1"] * 20)
    test = spots(["er+"] * 20 + ["er-"] * 20, ["s2"] * 20 + ["s3"] * 20, seed=1)
    rows = list(LabelFromImage(key="status").score(train, test, 0))
    assert {row.slide for row in rows} == {"pooled"} and {row.n_test for row in rows} == {40}
    one_side = Spots(test.embedding[:20], test.label[:20], test.slide[:20])
    assert all(isinstance(row, NotApplicable) for row in LabelFromImage().score(train, one_side, 0))


def test_the_support_is_an_option_of_every_task_of_labels():
    assert {task().min_support for task in TASKS} == {10}
    entries = [Task(task="domain", options={"min_support": n}).model_dump() for n in (10, 20)]
    assert entries[0] != entries[1]  # it is in the config, and so in every key that is made of it


# What is chosen, and what does not converge


def test_a_probe_that_has_not_converged_is_named(monkeypatch):
    monkeypatch.setattr(probes, "MOST_STEPS", 1)
    train, test = spots(["a", "b"] * 30, ["s0"] * 60), spots(["a", "b"] * 30, ["s1"] * 60, seed=1)
    rows = list(Domain().score(train, test, 0))
    absent = [row for row in rows if isinstance(row, NotApplicable)]
    assert [(row.setting, row.slide) for row in absent] == [("linear", "s1")]
    assert "not converged in 1 steps" in absent[0].reason
    assert {row.setting for row in rows if isinstance(row, Measured)} == {"knn", "mlp", "majority"}
