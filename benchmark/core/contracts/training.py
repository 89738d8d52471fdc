"""The contracts of what the shared training loop takes: a unit gives batches, a module gives their loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from benchmark.core.contracts.method import UnitName

if TYPE_CHECKING:
    import torch

    from benchmark.data.corpus import Corpus
    from benchmark.units.batch import Batch
    from benchmark.units.expression import Field


class Samples(Protocol):
    """What a unit draws: some samples in a row. `benchmark.units.batch.Batch` is the one of the built-in units.

    Attributes:
        inputs: names of the arrays that the module reads, each with a row a sample.
        spot: index in the corpus of every spot that is shown, int `[n]` or `[n, t]`; -1 where there is none.
        n_spots: how many spots the samples show, repeats included.
    """

    inputs: tuple[str, ...]
    spot: np.ndarray

    @property
    def n_spots(self) -> int: ...

    def __getitem__(self, rows: slice) -> Samples:
        """Some of the samples."""
        ...


@runtime_checkable
class Unit(Protocol):
    """What one training sample is: a corpus turned into batches. This much the training loop asks for.

    Attributes:
        name: as `Method.unit`.
        at_once: samples to draw at a time: more share the work on a slide, fewer take less memory.
    """

    name: UnitName
    at_once: int

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """On average. Called once, before the clock runs: it may also prepare the corpus."""
        ...

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Samples:
        """`n` samples; what they are depends on the state of `rng` alone."""
        ...


class UnitOptions(Protocol):
    """What a unit may offer besides; a `Learner` asks for `fit`, `lay` and `cover`.

    Attributes:
        samples_per_step: how many a step takes, where they are of use to each other; left out: as many as hold about
            the benchmark's tokens a step. Whole steps are then drawn, one after another.
        n_channels: genes that all spots of a sample show.
        n_tokens: genes that a sample of one spot shows, at most.
    """

    samples_per_step: int | None = None
    n_channels: int = 0
    n_tokens: int = 0

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: settings that these slides cannot serve."""

    def fit(self, corpus: Corpus) -> Unit:
        """The unit with what it takes from the training slides."""

    def lay(self, field: Field) -> Field:
        """A slide as the unit sees it."""

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """Samples that together speak for every spot of a slide, in batches of about `tokens` tokens."""


class Module(Protocol):
    """What the training loop asks of a torch module: a step's loss."""

    def __call__(self, batch: dict[str, torch.Tensor], *hidden: torch.Tensor) -> torch.Tensor:
        """The loss of one step, a scalar."""
        ...

    def draw_hidden(
        self, batch: dict[str, torch.Tensor], generator: torch.Generator
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """The random choices of a step. Their shapes depend on that of the batch alone. Each has a row a sample, or one
        row for all samples."""
        ...


class ModuleOptions(Protocol):
    """What a module may offer besides.

    Attributes:
        snapshots: shares of the budget, rising, after which the meter keeps a copy of the weights.
    """

    snapshots: tuple[float, ...]

    def advance(self, fraction: float) -> object:
        """For an objective that changes on the way: told the fraction of the budget spent before each step. Returns
        the phase, anything hashable: steps of equal shapes cost the same within a phase alone."""

    def counts(self, batch: dict[str, torch.Tensor], *hidden: torch.Tensor) -> torch.Tensor:
        """For a step that several devices share: over how many values each mean of the loss is taken, `[n_means]`, or a
        scalar. The module is then called with a part of the samples and, as `batch["counts"]`, these counts of the
        whole step. It divides its sums by them, so that the losses of all parts add up to the loss of the step."""

    def extra_flops(self, batch: dict[str, torch.Tensor]) -> int:
        """FLOPs of a step that PyTorch's counter cannot see."""
