"""Tasks of embeddings on the least that they may be given: values, a reason for none, or one plain error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from benchmark.core.contracts import Measured, NotApplicable, Spots
from benchmark.core.errors import UnitBenchError
from benchmark.tasks.annotation import Annotation
from benchmark.tasks.clustering import Clustering
from benchmark.tasks.domain import Domain
from benchmark.tasks.expression_from_image import ExpressionFromImage
from benchmark.tasks.label_from_image import LabelFromImage
from benchmark.tasks.probes import PROBES, predict

LABELLED = (Domain(2), Annotation(min_support=2), LabelFromImage(min_support=2), Clustering(min_support=2))
SLOW = settings(max_examples=15)


def spots(embedding: np.ndarray, n_labels: int = 3, slide: str = "s", seed: int = 0) -> Spots:
    n = len(embedding)
    label = np.array(["a", "b", "c"])[np.random.default_rng(seed).integers(0, n_labels, n)]
    counts = csr_matrix(np.random.default_rng(seed).poisson(2.0, (n, 6)).astype(np.float32))
    return Spots(embedding.astype(np.float32), label, np.repeat(slide, n), counts, np.arange(n) % 3)


def check(rows: list) -> None:
    assert rows and all(isinstance(row, Measured | NotApplicable) for row in rows)
    assert all(np.isfinite(row.value) for row in rows if isinstance(row, Measured))
    assert all(row.reason for row in rows if isinstance(row, NotApplicable))


@pytest.mark.parametrize("probe", PROBES)
@given(
    n_train=st.integers(1, 14),
    n_labels=st.integers(1, 3),
    d=st.integers(1, 3),
    kind=st.sampled_from(["random", "constant", "one constant dimension", "all zero", "two values"]),
    seed=st.integers(0, 99),
)
@SLOW
def test_a_probe_gives_every_test_spot_a_training_label(probe, n_train, n_labels, d, kind, seed):
    """With fewer spots than the k-NN has neighbours, one label, and dimensions that say nothing."""
    rng = np.random.default_rng(seed)
    train, test = rng.standard_normal((n_train, d)), rng.standard_normal((5, d))
    match kind:
        case "constant":
            train[:] = 0.1
        case "one constant dimension":
            train[:, 0] = 1e3
        case "all zero":
            train[:], test[:] = 0, 0
        case "two values":
            train = np.sign(train)
    side = spots(train, n_labels, seed=seed)
    for group in (None, side.group):
        predicted = predict(probe, side.embedding, side.label, test.astype(np.float32), seed, group)
        assert predicted.shape == (5,) and set(predicted) <= set(side.label)


@pytest.mark.parametrize("task", LABELLED, ids=lambda task: task.name)
@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_constant_embeddings_and_one_label_are_no_error(task, n_labels):
    constant = np.full((24, 3), 0.1)
    check(list(task.score(spots(constant, n_labels), spots(constant, 3, "t", 1), 0)))
    check(list(task.score(spots(constant, 3), spots(constant, n_labels, "t", 1), 0)))


def test_constant_features_of_images_tell_no_expression():
    rows = list(ExpressionFromImage().score(spots(np.ones((24, 3))), spots(np.ones((9, 3)), slide="t"), 0))
    check(rows)
    assert {row.value for row in rows} == {0}


@pytest.mark.parametrize("task", [*LABELLED, ExpressionFromImage()], ids=lambda task: task.name)
@pytest.mark.parametrize("side", ["train", "test"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(task, side, value):
    sides = {name: np.random.default_rng(0).random((24, 3)) for name in ("train", "test")}
    sides[side][3, 1] = value
    with pytest.raises(UnitBenchError, match="embedding: NaN or infinite values"):
        list(task.score(spots(sides["train"]), spots(sides["test"], slide="t"), 0))


@pytest.mark.parametrize("task", [*LABELLED, ExpressionFromImage()], ids=lambda task: task.name)
def test_an_embedding_without_a_dimension_is_refused(task):
    nothing = spots(np.zeros((24, 0)))
    with pytest.raises(UnitBenchError, match=r"embedding: shape \(24, 0\)"):
        list(task.score(nothing, nothing, 0))
