"""Domain detection: the pathologist's label of each spot, from its frozen embedding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric, Split, Spots
from benchmark.metrics import labels
from benchmark.tasks import probes


@dataclass(frozen=True)
class Domain:
    """A setting for each probe. The k-NN orders the leaderboard: it fits nothing, so it shows the embedding alone.

    The setting "majority" is the most frequent training label. It does not depend on the embedding, so the values of
    the others are read against it.
    """

    name: ClassVar[str] = "domain"
    requires: ClassVar[str] = "embed"
    splits: ClassVar[tuple[Split, ...]] = ("donor", "block", "random", "few_labels")
    title: ClassVar[str] = "Domain detection"
    order: ClassVar[int] = 10
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy"),
        Metric("balanced_accuracy", "balanced accuracy"),
        Metric("macro_f1", "macro-F1"),
        Metric("ari_of_predictions", "ARI of predictions"),
    )
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore("macro-F1", "knn", "macro_f1", words="macro-F1, accuracy: k-NN on frozen embeddings"),
        KeyScore("F1 mean8", "knn", "macro_f1", neighbours=8, words="mean8: after an 8-neighbour mean"),
        KeyScore("accuracy", "knn", "accuracy"),
        KeyScore(
            "acc. random",
            "knn",
            "accuracy",
            split="random",
            words="acc. random: random spots of the same slides instead",
        ),
    )
    settings: ClassVar[Mapping[str, str]] = probes.TITLES

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured]:
        """Each test slide by itself, by probes fitted on all training spots."""
        for probe in probes.PROBES:
            predicted = probes.predict(probe, train.embedding, train.label, test.embedding, seed)
            for slide in np.unique(test.slide):
                here = test.slide == slide
                for metric, value in labels.classification(test.label[here], predicted[here]).items():
                    yield Measured(probe, metric, value, str(slide), len(train.label), int(here.sum()))

    def predictions(self, train: Spots, test: Spots) -> np.ndarray:
        """The label that the k-NN gives each test spot, `[n_test]`, for the map of a tissue."""
        return probes.predict("knn", train.embedding, train.label, test.embedding)
