"""The contract of a method: what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmark.data.corpus import Corpus
    from benchmark.data.tiles import View
    from benchmark.training.budget import Budget

API_VERSION = 1  # of the contracts
UnitName = Literal["spot", "patch", "slide", "none"]


@runtime_checkable
class Method(Protocol):
    """What is compared. Entry point: `unitbench.methods`; the keywords of its class are its options in a config.

    An object is made anew for every arm, then fitted once. Which functions of `MethodOptions` it has decides
    which tasks it can do.

    Attributes:
        unit: what one training sample is; "none": it spends no budget, so budgets are not varied.
    """

    unit: UnitName

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> object:
        """Learn from the training slides; called once, first. What it returns is not read.

        What it spends is counted by `budget.meter`. `benchmark.training.loop.pretrain` does that; another loop calls
        `budget.meter.report` and its rows are marked as self-reported. The arm fails where the meter differs from the
        budget by over 2%. A method that spends must have `save`. One of the unit "none" may not train, unless
        `reference` says why it is no rival of the others.

        Args:
            corpus: the training slides of the fold, and no others, as `benchmark.data.shown` gives them: no labels, and
                arrays that cannot be written to. `slide.copy()` gives some that can.
            budget: what may be spent; amount 0 asks for the untrained model.
            seed: two fits with one seed are equal.

        Raises:
            UnitBenchError: it cannot; the arm counts as failed and its reason is this message.
        """
        ...


class MethodOptions(Protocol):
    """What a method may offer besides. `slide` is always one slide with the genes of the corpus, raw counts in `X`,
    without labels, and with arrays that cannot be written to. var["measured"] tells which genes it has: 0 counts of
    another gene say nothing.

    No gradients can be taken in these functions, unless `reference` says why the method is no rival of the others.

    Attributes:
        api_version: of the contracts that it was written for; any plugin may have it.
        reference: why it is no rival of the others, such as "not compute-matched"; shown beside its name.
        pretrained_on: names of slides or data sets that a released model has seen; their rows say so.
        not_applicable: why it cannot be used at all (no checkpoint, say); it is then never fitted.
        n_parameters: how many it has, once fitted.
        view: field of view of the images that `generate` makes. Needed with `generate`.
        panels: whether it takes slides that have measured different genes, as var["measured"] tells. Else it is shown
            only the counts of genes that all its training slides have measured; obs["library_size"] counts all genes.
        labels: whether the training slides of `fit` have obs["label"], as a ceiling asks that is supervised. Such a
            method is no rival of the others, and says so in `reference`.
        transductive: whether `embed` learns from the very slide that it embeds, so that spots of two slides do not
            compare. Only tasks with `within_slides` can then score it, and `reference` must say so.
        software: the package of others that does the work, with its version and licence, such as "st-graphpca 2.2.0
            (MIT)"; a note of every row.
        diagnostics: numbers that a generator says of itself, kept as rows that nothing is ranked by.
    """

    api_version: int = API_VERSION
    reference: str = ""
    pretrained_on: tuple[str, ...] = ()
    not_applicable: str = ""
    n_parameters: int | None = None
    view: View | None = None
    panels: bool = False
    labels: bool = False
    transductive: bool = False
    software: str = ""
    diagnostics: Mapping[str, float] = {}

    def check(self, corpus: Corpus) -> None:
        """Called before anything runs, on the training slides of each fold, the method not yet fitted.

        Raises:
            UnitBenchError: settings that these slides cannot serve. The run stops there.
        """

    def embed(self, slide: AnnData) -> np.ndarray:
        """A vector for each spot, `[n_spots, d]`, finite, the same for the same slide. Called after `fit`."""

    def embed_image(self, slide: AnnData) -> np.ndarray:
        """The same from the slide's image alone, `[n_spots, d]`: it has no counts. Only for slides with one."""

    def reconstruct(self, slide: AnnData, hidden: np.ndarray) -> np.ndarray:
        """Expression of hidden spots from the others.

        Args:
            slide: with no counts in the hidden spots.
            hidden: which spots are hidden, bool `[n_spots]`.

        Returns:
            log1p of counts per 10,000, `[n_spots, n_genes]`; only the rows of hidden spots are read.
        """

    def impute(self, slide: AnnData, hidden: np.ndarray) -> np.ndarray:
        """Expression of hidden genes from the others.

        Args:
            slide: with no counts of the hidden genes. A spot's library size is then the sum of its visible genes;
                nothing tells the sum of all.
            hidden: indices of the hidden genes, int `[n_hidden]`.

        Returns:
            log1p of counts per 10,000 counts of all genes, `[n_spots, n_hidden]`.
        """

    def predict_expression(self, slide: AnnData) -> np.ndarray:
        """log1p of counts per 10,000 from the slide's image alone, `[n_spots, n_genes]`: it has no counts."""

    def generate(self, slide: AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """Images of some spots from their expression, uint8 `[n, p, p, 3]` with p `view.pixels`.

        Args:
            slide: counts and positions alone.
            spots: indices of the spots, int `[n]`.
        """

    def learned(self, slide: AnnData) -> Mapping[str, float]:
        """How well the objective of pretraining is met on a slide that it has not learned from, and beside it how well
        trivial predictors meet it: R² by a name. Kept as rows that nothing is ranked by. Called after `fit`."""

    def curve(self, slide: AnnData) -> Sequence[Mapping[str, float]]:
        """`learned` at some points of the training, by the weights of then: FLOPs spent as "flops", and some
        of the names.
        Drawn against the FLOPs. Called after `fit`, not after `load`."""

    def save(self, path: Path) -> None:
        """Write the weights to `path` as safetensors. Needed by a method that spends a budget."""

    def load(self, path: Path) -> None:
        """Read the weights of `save`, after a `fit` with amount 0 and the same seed: the method is then as it was.

        With it a task can be added to a finished run without training again.
        """
