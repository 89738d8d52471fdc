"""Domain detection: the pathologist's label of each spot, from its frozen embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.tasks import Measured, Spots, probes


@dataclass(frozen=True)
class Domain:
    """One setting a probe. The k-NN orders the leaderboard: it fits nothing, so it shows the embedding, not itself.

    The setting "majority" is the training spots' most frequent label: the same whatever the embedding, it says what the
    others' values mean.
    """

    name: ClassVar[str] = "domain"
    requires: ClassVar[str] = "embed"
    splits: ClassVar[tuple[str, ...]] = ("donor", "block", "random", "few_labels")
    primary: ClassVar[tuple[str, str]] = ("knn", "macro_f1")
    higher_is_better: ClassVar[bool] = True

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured]:
        for probe in probes.PROBES:
            predicted = probes.predict(probe, train.embedding, train.label, test.embedding, seed)
            for slide in np.unique(test.slide):
                here = test.slide == slide
                for metric, value in metrics(test.label[here], predicted[here]).items():
                    yield Measured(probe, metric, value, str(slide), len(train.label), int(here.sum()))

    def predictions(self, train: Spots, test: Spots) -> np.ndarray:
        """The k-NN's label of each test spot, `[n_test]`, for the map of a tissue."""
        return probes.predict("knn", train.embedding, train.label, test.embedding)


def metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Agreement of predicted with true labels, both `[n_test]`.

    Balanced accuracy and macro-F1 are means over the labels that the truth holds: one that no test spot has does not
    count, though predicting it costs the recall of the label that was missed.
    """
    from sklearn.metrics import accuracy_score, adjusted_rand_score, f1_score, recall_score

    over = {"labels": np.unique(truth), "average": "macro", "zero_division": 0.0}
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(recall_score(truth, predicted, **over)),
        "macro_f1": float(f1_score(truth, predicted, **over)),
        "ari_of_predictions": float(adjusted_rand_score(truth, predicted)),
    }
