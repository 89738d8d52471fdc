"""Probes: each learns what it can, fails where it must, and repeats with the same seed."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmark.core.errors import UnitBenchError
from benchmark.tasks.probes import PROBES, predict


def blobs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two well separated clouds in 8 dimensions."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["a", "b"], n)
    return (rng.standard_normal((n, 8)) + 4 * (label == "b")[:, None]).astype(np.float32), label


def xor(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two labels that no straight line separates."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)
    return x, np.where((x > 0).sum(axis=1) == 1, "odd", "even")


@pytest.mark.parametrize("probe", ["knn", "linear", "mlp"])
def test_separated_labels_are_learned(probe):
    (train, label), (test, truth) = blobs(200, 0), blobs(100, 1)
    assert (predict(probe, train, label, test) == truth).mean() > 0.98


def test_the_mlp_learns_labels_that_no_line_separates():
    (train, label), (test, truth) = xor(2000, 0), xor(500, 1)
    accuracy = {probe: (predict(probe, train, label, test) == truth).mean() for probe in ("linear", "mlp")}
    assert accuracy["linear"] < 0.65 and accuracy["mlp"] > 0.9


def test_the_k_nn_uses_ten_neighbours():
    train = np.array([[0.0]] * 4 + [[1.0]] * 6 + [[50.0]] * 20)
    label = np.array(["near"] * 4 + ["farther"] * 6 + ["farthest"] * 20)
    assert predict("knn", train, label, np.array([[0.0]])) == ["farther"]
    (train, label), (test, _) = blobs(200, 0), blobs(100, 1)
    outside = KNeighborsClassifier(10, algorithm="kd_tree").fit(train, label).predict(test)
    assert (predict("knn", train, label, test) == outside).all()


def test_the_majority_does_not_depend_on_the_embedding():
    label = np.array(["rare", "common", "common"])
    assert predict("majority", np.eye(3), label, np.zeros((4, 3))).tolist() == ["common"] * 4


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_the_scale_of_a_dimension_does_not_matter(probe):
    (train, label), (test, _) = xor(400, 0), xor(100, 1)
    unit = np.array([1024, 1 / 1024], dtype=np.float32)
    assert (
        predict(probe, train, label, test, seed=3) == predict(probe, train * unit, label, test * unit, seed=3)
    ).all()


@pytest.mark.parametrize("probe", PROBES)
def test_few_spots_one_label_and_constant_embeddings_are_no_error(probe):
    rng = np.random.default_rng(0)
    test = rng.random((5, 3))
    assert predict(probe, rng.random((4, 3)), np.array(["a"] * 4), test).tolist() == ["a"] * 5
    assert set(predict(probe, rng.random((2, 3)), np.array(["a", "b"]), test)) <= {"a", "b"}
    assert len(predict(probe, np.ones((30, 3)), np.array(["a", "b", "c"] * 10), np.ones((5, 3)))) == 5


@pytest.mark.parametrize("probe", PROBES)
def test_the_same_seed_gives_the_same_labels(probe):
    (train, label), (test, _) = xor(300, 0), xor(200, 1)
    assert (predict(probe, train, label, test, seed=5) == predict(probe, train, label, test, seed=5)).all()


def test_no_training_spot_is_an_error():
    with pytest.raises(UnitBenchError, match="no labelled training spot"):
        predict("knn", np.zeros((0, 3)), np.array([], dtype=str), np.zeros((2, 3)))
