"""Annotation: what each spot or cell was called, from its frozen embedding, by probes that are fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.tasks import Measured, Spots, probes


@dataclass(frozen=True)
class Annotation:
    """A setting for each fitted probe, and "majority", the training spots' most frequent label, as their floor.

    `key`: the column of obs that holds the labels, such as "cell_type".
    """

    key: str = "label"

    name: ClassVar[str] = "annotation"
    requires: ClassVar[str] = "embed"
    splits: ClassVar[tuple[str, ...]] = ("donor", "random")
    primary: ClassVar[tuple[str, str]] = ("linear", "macro_f1")
    higher_is_better: ClassVar[bool] = True

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured]:
        for probe in ("linear", "mlp", "majority"):
            predicted = probes.predict(probe, train.embedding, train.label, test.embedding, seed)
            for slide in np.unique(test.slide):
                here = test.slide == slide
                for metric, value in metrics(test.label[here], predicted[here]).items():
                    yield Measured(probe, metric, value, str(slide), len(train.label), int(here.sum()))


def metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Means of F1 and of precision over the labels that the truth holds, both `[n_test]`.

    A label that is never predicted has precision 0. One that no test spot has does not count, though predicting it
    costs the F1 of the label that was missed.
    """
    from sklearn.metrics import precision_recall_fscore_support

    found = precision_recall_fscore_support(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    precision, _, f1, _ = found
    return {"macro_f1": float(f1), "macro_precision": float(precision)}
