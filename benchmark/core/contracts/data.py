"""The contracts of what makes data: a dataset gives slides, a rule chooses the genes of a crop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmark.data.corpus import Corpus
    from benchmark.units.expression import Field


@runtime_checkable
class Dataset(Protocol):
    """Where slides come from. Entry point: `unitbench.datasets`; the keywords of its class are its options."""

    def record(self) -> dict:
        """What it is, as JSON: name, title, source, licence, citation, technology, labels, files (path and sha256 of
        each), and `donors` and `groups`: the donor and the group of each slide, by its name. No counts are read."""
        ...

    def slides(self) -> Iterator[AnnData]:
        """The slides one at a time, in the schema of `benchmark/data/slide.py`.

        Raises:
            UnitBenchError: naming the file, the cause and the remedy.
        """
        ...


class DatasetOptions(Protocol):
    """What a dataset may offer besides."""

    def slide(self, name: str) -> AnnData:
        """One slide, by its name in `record()["donors"]`. With it, the slides are read by all cores at once."""


@runtime_checkable
class Rule(Protocol):
    """Which genes are the channels of a crop, at pretraining and at embedding. Entry point: `unitbench.channels`.

    Attributes:
        shared: whether all crops show the same genes in the same order.
    """

    shared: bool

    def fit(self, corpus: Corpus, m: int) -> Rule:
        """The rule with what it takes from the training slides, for `m` channels. Called once, before `choose`."""
        ...

    def choose(self, field: Field, spots: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
        """Genes of each crop, int64 `[n, m]`, or `[1, m]` for all of them; no gene twice in a crop.

        Args:
            field: the slide. `field.panel` are the genes that it has measured: others cannot be chosen.
            spots: of each crop, those that may be looked at, `[n, t]`, -1 where padded.
            m: at most as many as there are measured genes.
        """
        ...
