"""Annotation: the type that each spot or cell was given, from its frozen embedding, by fitted probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, Spots
from benchmark.metrics import labels
from benchmark.tasks import probes
from benchmark.tasks.probing import score_probes

PROBES = ("linear", "mlp", "majority")


@dataclass(frozen=True)
class Annotation:
    """A setting for each fitted probe, and "majority", the most frequent training label, as their lower bound.

    `key`: the column of obs that has the labels, such as "cell_type".
    `min_support`: spots that a label needs on a slide to be part of its macro means.
    """

    key: str = "label"
    min_support: PositiveInt = labels.MIN_SUPPORT

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

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured | NotApplicable]:
        """Each test slide by itself, by probes fitted on all training spots."""
        return score_probes(PROBES, labels.annotation, self.min_support, train, test, seed)
