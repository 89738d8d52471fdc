"""Metrics of labels and of expression on the least that they may be given: finite, within bounds, or refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmark.core.errors import UnitBenchError
from benchmark.metrics import expression, labels

letters = st.sampled_from("abc")
small = st.floats(-1e6, 1e6, width=32)
tables = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(*(arrays(np.float32, shape, elements=small) for _ in range(2)))
)


@pytest.mark.filterwarnings("ignore:A single label", "ignore:y_pred contains classes")
@given(st.lists(st.tuples(letters, letters), min_size=1, max_size=30), st.integers(1, 5))
def test_metrics_of_labels_are_shares_or_refused(pairs, least):
    truth, predicted = np.array(pairs).T
    if not len(labels.supported(truth, least)):
        for metrics in (labels.classification, labels.annotation):
            with pytest.raises(UnitBenchError, match=f"none has {least} spots"):
                metrics(truth, predicted, least)
        return
    scores = labels.classification(truth, predicted, least) | labels.annotation(truth, predicted, least)
    assert all(0 <= value <= 1 for name, value in scores.items() if name != "ari_of_predictions")
    assert -1 <= scores["ari_of_predictions"] <= 1
    right = labels.classification(truth, truth, least) | labels.annotation(truth, truth, least)
    assert set(right.values()) == {1.0}


@given(st.lists(st.tuples(letters, st.integers(0, 4)), min_size=1, max_size=30))
def test_the_agreement_of_clusters_is_bounded_and_does_not_depend_on_their_names(pairs):
    label, cluster = (np.array(part) for part in zip(*pairs, strict=True))
    scores = labels.agreement(label, cluster)
    assert -1 <= scores["ari"] <= 1 and -1e-9 <= scores["nmi"] <= 1 + 1e-9
    assert labels.agreement(label, 7 - cluster) == pytest.approx(scores, abs=1e-9)


def test_no_spot_is_refused():
    nothing = np.array([], dtype=str)
    for metrics in (labels.classification, labels.annotation):
        with pytest.raises(UnitBenchError, match="none has 1 spots"):
            metrics(nothing, nothing)
    for metrics in (expression.imputation, expression.mean_pearson, expression.mean_spearman):
        with pytest.raises(UnitBenchError, match="nothing to score"):
            metrics(np.zeros((0, 3)), np.zeros((0, 3)))


@given(tables)
def test_correlations_and_errors_of_finite_values_are_finite(pair):
    truth, predicted = pair
    scores = expression.imputation(truth, predicted)
    scores |= expression.reconstruction(truth, predicted, truth.mean(axis=0))
    assert np.isfinite(list(scores.values())).all()
    assert abs(scores["pearson"]) <= 1 and abs(scores["spearman"]) <= 1
    assert scores["rmse"] >= 0 and scores["mse"] >= 0 and scores["mae"] >= 0


@given(tables)
def test_a_constant_prediction_correlates_0(pair):
    truth, predicted = pair
    assert expression.mean_pearson(truth, np.full_like(predicted, 0.1)) == 0
    assert expression.mean_spearman(np.full_like(truth, 0.1), predicted) == 0


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e30])
def test_correlations_do_not_depend_on_the_scale(scale):
    a, b = np.random.default_rng(0).random((2, 30, 3))
    assert expression.mean_pearson(a * scale, b) == pytest.approx(expression.mean_pearson(a, b), rel=1e-9)
    assert expression.mean_pearson(a, a * scale) == pytest.approx(1)


@given(tables, st.sampled_from([np.nan, np.inf, -np.inf]), st.booleans())
def test_what_is_not_finite_is_refused_and_not_averaged_away(pair, value, in_truth):
    truth, predicted = (array.copy() for array in pair)
    (truth if in_truth else predicted)[0, 0] = value
    of_genes = lambda a, b: expression.reconstruction(a, b, np.zeros(a.shape[1]))  # noqa: E731
    for metrics in (expression.imputation, expression.mean_pearson, expression.mean_spearman, of_genes):
        with pytest.raises(UnitBenchError, match="NaN or infinite"):
            metrics(truth, predicted)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=60))
def test_the_agreement_is_that_of_scikit_learn(pairs):
    label, cluster = np.array(pairs).T
    expected = {
        "ari": adjusted_rand_score(label, cluster),
        "nmi": normalized_mutual_info_score(label, cluster),
    }
    assert labels.agreement(label, cluster) == pytest.approx(expected, abs=1e-9)
