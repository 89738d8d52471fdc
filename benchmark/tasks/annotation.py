"""Annotation: the type that each spot or cell was given, from its frozen embedding, by fitted probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric, Split, Spots
from benchmark.metrics import labels
from benchmark.tasks import probes


@dataclass(frozen=True)
class Annotation:
    """A setting for each fitted probe, and "majority", the most frequent training label, as their lower bound.

    `key`: the column of obs that has the labels, such as "cell_type".
    """

    key: str = "label"

    name: ClassVar[str] = "annotation"
    requires: ClassVar[str] = "embed"
    splits: ClassVar[tuple[Split, ...]] = ("donor", "random")
    title: ClassVar[str] = "Annotation"
    order: ClassVar[int] = 20
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("macro_f1", "macro-F1"),
        Metric("macro_precision", "macro-precision"),
    )
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore("F1 linear", "linear", "macro_f1", words="F1 linear: macro-F1 of annotation by a linear probe"),
    )
    settings: ClassVar[Mapping[str, str]] = probes.TITLES

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured]:
        """Each test slide by itself, by probes fitted on all training spots."""
        for probe in ("linear", "mlp", "majority"):
            predicted = probes.predict(probe, train.embedding, train.label, test.embedding, seed)
            for slide in np.unique(test.slide):
                here = test.slide == slide
                for metric, value in labels.annotation(test.label[here], predicted[here]).items():
                    yield Measured(probe, metric, value, str(slide), len(train.label), int(here.sum()))
