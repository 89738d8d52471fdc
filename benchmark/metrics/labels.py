"""Agreement of labels: predicted with true labels, and clusters with labels."""

from __future__ import annotations

from typing import Any

import numpy as np


def classification(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Agreement of predicted with true labels, both `[n_test]`.

    Balanced accuracy and macro-F1 are means over the labels of the truth. A label that no test spot has does not count,
    but a spot that is predicted to have it lowers the recall of its true label.
    """
    from sklearn.metrics import accuracy_score, adjusted_rand_score, f1_score, recall_score

    options: dict[str, Any] = {"labels": np.unique(truth), "average": "macro", "zero_division": 0.0}
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(recall_score(truth, predicted, **options)),
        "macro_f1": float(f1_score(truth, predicted, **options)),
        "ari_of_predictions": float(adjusted_rand_score(truth, predicted)),
    }


def annotation(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Means of F1 and of precision over the labels of the truth; both arrays are `[n_test]`.

    A label that is never predicted has precision 0. A label that no test spot has does not count, but a spot that is
    predicted to have it lowers the F1 of its true label.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, _, f1, _ = precision_recall_fscore_support(
        truth, predicted, labels=np.unique(truth), average="macro", zero_division=0
    )
    return {"macro_f1": float(f1), "macro_precision": float(precision)}


def agreement(label: np.ndarray, cluster: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index and normalised mutual information of two partitions, both `[n_spots]`."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return {
        "ari": float(adjusted_rand_score(label, cluster)),
        "nmi": float(normalized_mutual_info_score(label, cluster)),
    }
