"""Labels from the image: the pathologist's label of each spot, from features of its image only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt

from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, Spots
from benchmark.metrics.labels import MIN_SUPPORT
from benchmark.tasks.domain import Domain


@dataclass(frozen=True)
class LabelFromImage:
    """The probes and metrics of domain detection, on features that are made without counts.

    `key`: the column of obs that has the labels. A column with one value in each slide, such as the status of a
    biomarker, is a label of the slide: all test slides of a fold are then scored together.
    `min_support`: as in `Domain`.
    """

    key: str = "label"
    min_support: PositiveInt = MIN_SUPPORT

    name: ClassVar[str] = "label_from_image"
    requires: ClassVar[str] = "embed_image"
    splits: ClassVar[tuple[Split, ...]] = ("donor",)
    title: ClassVar[str] = "Labels from the image"
    order: ClassVar[int] = 70
    metrics: ClassVar[tuple[Metric, ...]] = Domain.metrics
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore("F1 image", "knn", "macro_f1", words="F1 image: macro-F1 of k-NN on the image alone"),
    )
    settings: ClassVar[Mapping[str, str]] = Domain.settings

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured | NotApplicable]:
        """As `Domain.score`."""
        return Domain(self.min_support).score(train, test, seed)
