"""Labels from the image: the pathologist's label of each spot, from features of its image alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from benchmark.tasks import Measured, Spots
from benchmark.tasks.domain import Domain


@dataclass(frozen=True)
class LabelFromImage:
    """The probes and metrics of domain detection on features that no count went into.

    `key`: the column of obs that holds the labels. A column with one value a slide, such as the status of a biomarker,
    makes it the slide's label.
    """

    key: str = "label"

    name: ClassVar[str] = "label_from_image"
    requires: ClassVar[str] = "embed_image"
    splits: ClassVar[tuple[str, ...]] = ("donor",)
    primary: ClassVar[tuple[str, str]] = ("knn", "macro_f1")
    higher_is_better: ClassVar[bool] = True

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured]:
        return Domain().score(train, test, seed)
