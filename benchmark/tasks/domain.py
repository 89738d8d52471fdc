"""Domain detection: the pathologist's label of each spot, from its frozen embedding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import PositiveInt

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, Spots
from benchmark.metrics import labels
from benchmark.tasks.probes import PROBES, TITLES, Probe, predict
from benchmark.tasks.probing import score_probes
from benchmark.tasks.sampling import sampled


@dataclass(frozen=True)
class Domain:
    """A setting for each probe. The k-NN orders the leaderboard: it fits nothing, so it shows the embedding alone.

    The setting "majority" is the most frequent training label. It does not depend on the embedding, so the values of
    the others are read against it.

    Args:
        min_support: spots that a label needs on a slide to be part of its macro means.
        probes: which of them to fit. The MLP takes nearly half of the time of all.
    """

    min_support: PositiveInt = labels.MIN_SUPPORT
    probes: tuple[Probe, ...] = PROBES

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
    settings: ClassVar[Mapping[str, str]] = TITLES

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured | NotApplicable]:
        """Each test slide by itself, by probes fitted on all training spots."""
        return score_probes(self.probes, labels.classification, self.min_support, train, test, seed)

    def predictions(self, train: Spots, test: Spots) -> np.ndarray:
        """The label that the k-NN gives each test spot, `[n_test]`, for the map of a tissue."""
        train, _ = sampled(train)
        return predict("knn", train.embedding, train.label, test.embedding, group=train.group)
