"""Scores of predicted labels that are counted here are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, adjusted_rand_score, precision_recall_fscore_support

from benchmark.core.errors import UnitBenchError
from benchmark.metrics.labels import annotation, classification, supported

pairs = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde")), min_size=1, max_size=60)


@given(pairs, st.integers(1, 12))
def test_the_scores_are_those_of_scikit_learn(pairs, least):
    truth, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    over = supported(truth, least)
    if not len(over):
        for score in (classification, annotation):
            with pytest.raises(UnitBenchError, match=f"none has {least} spots"):
                score(truth, predicted, least)
        return
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, labels=over, average="macro", zero_division=0.0
    )
    assert classification(truth, predicted, least) == pytest.approx(
        {
            "accuracy": accuracy_score(truth, predicted),
            "balanced_accuracy": recall,
            "macro_f1": f1,
            "ari_of_predictions": adjusted_rand_score(truth, predicted),
        },
        abs=1e-12,
    )
    assert annotation(truth, predicted, least) == pytest.approx(
        {"macro_f1": f1, "macro_precision": precision}, abs=1e-12
    )
