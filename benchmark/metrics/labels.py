"""Agreement of labels: predicted with true labels, and clusters with labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmark.core.errors import UnitBenchError

MIN_SUPPORT = 10  # spots of a label on a slide: with two or three, one spot moves a macro mean by a tenth


def supported(truth: np.ndarray, min_support: int) -> np.ndarray:
    """The labels of `truth` `[n_test]` that have at least `min_support` spots, in order."""
    label, count = np.unique(truth, return_counts=True)
    return label[count >= min_support]


class Hits(NamedTuple):
    """For each label of the truth with enough spots, `[n_labels]`: how many spots have it, how many are predicted to
    have it, and how many of these are right."""

    true: np.ndarray
    predicted: np.ndarray
    right: np.ndarray

    @property
    def recall(self) -> float:
        """Mean over the labels."""
        return float((self.right / self.true).mean())

    @property
    def precision(self) -> float:
        """Mean over the labels; that of a label which is never predicted is 0."""
        return float((self.right / np.maximum(self.predicted, 1)).mean())

    @property
    def f1(self) -> float:
        """Mean over the labels of the harmonic mean of precision and recall."""
        return float((2 * self.right / (self.true + self.predicted)).mean())


def hits(truth: np.ndarray, predicted: np.ndarray, min_support: int = 1) -> Hits:
    """Counts of predicted and true labels, both `[n_test]`.

    scikit-learn's functions give the same means, but check and count anew for each of them: choices on training spots
    call this most of all.

    Raises:
        UnitBenchError: no label of the truth has `min_support` spots.
    """
    labels, code = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    true, said = np.split(code, [len(truth)])
    counts = [np.bincount(some, minlength=len(labels)) for some in (true, said, true[true == said])]
    over = counts[0] >= max(1, min_support)
    if not over.any():
        raise UnitBenchError("labels", f"none has {min_support} spots", "score slides with more labelled spots")
    return Hits(*(count[over] for count in counts))


def undecided(truth: np.ndarray, min_support: int) -> str:
    """Why a slide of these labels `[n_test]` cannot tell good predictions from bad ones; empty if it can."""
    n = len(supported(truth, min_support))
    return "" if n > 1 else f"labels with at least {min_support} spots: {n}, 2 are needed"


def classification(truth: np.ndarray, predicted: np.ndarray, min_support: int = 1) -> dict[str, float]:
    """Agreement of predicted with true labels, both `[n_test]`.

    Balanced accuracy and macro-F1 are means over the labels of the truth with at least `min_support` spots. The spots
    of other labels count in the accuracy, in the ARI, and where they are predicted to have one of these labels.

    Raises:
        UnitBenchError: no label has so many spots, of this function and the next.
    """
    found = hits(truth, predicted, min_support)
    return {
        "accuracy": float((truth == predicted).mean()),
        "balanced_accuracy": found.recall,
        "macro_f1": found.f1,
        "ari_of_predictions": agreement(truth, predicted)["ari"],
    }


def annotation(truth: np.ndarray, predicted: np.ndarray, min_support: int = 1) -> dict[str, float]:
    """Means of F1 and of precision over the labels of the truth with at least `min_support` spots.

    Both arrays are `[n_test]`. A label that is never predicted has precision 0. The spots of other labels count where
    they are predicted to have one of these.
    """
    found = hits(truth, predicted, min_support)
    return {"macro_f1": found.f1, "macro_precision": found.precision}


def agreement(label: np.ndarray, cluster: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index and normalised mutual information of two partitions, both `[n_spots]`.

    The index is that of Hubert and Arabie (1985, Journal of Classification), equation 5, by pairs of spots; the
    information is divided by the mean of both entropies. Two partitions into one part have 1, as scikit-learn has it,
    whose functions take some thirty times as long on a slide: a sweep over resolutions calls this most of all.
    """
    (rows, row), (columns, column) = (np.unique(part, return_inverse=True) for part in (label, cluster))
    counts = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns)).astype(float)
    table = counts.reshape(len(rows), len(columns))
    a, b, n = table.sum(axis=1), table.sum(axis=0), float(len(label))
    if len(rows) == len(columns) == 1:
        return {"ari": 1.0, "nmi": 1.0}
    both, of_a, of_b = (float((x * (x - 1)).sum()) / 2 for x in (counts, a, b))
    expected, most = of_a * of_b / (n * (n - 1) / 2), (of_a + of_b) / 2
    entropy = (_entropy(a / n) + _entropy(b / n)) / 2
    information = 2 * entropy - _entropy(counts / n)
    return {
        "ari": (both - expected) / (most - expected) if most > expected else 1.0,
        "nmi": max(0.0, information / entropy),
    }


def _entropy(share: np.ndarray) -> float:
    """In nats; a share of 0 adds nothing."""
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())
