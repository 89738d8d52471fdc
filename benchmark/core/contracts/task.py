"""The contract of a task: what is scored, by which metrics, and what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from benchmark.core.contracts.measures import KeyScore, Measured, Metric, NotApplicable, Split, Spots

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmark.core.contracts.method import Method
    from benchmark.data.corpus import Corpus


@runtime_checkable
class Task(Protocol):
    """What is scored. Entry point: `unitbench.tasks`; the keywords of its class are its options in a config.

    It has `score`, in one of two forms, which `requires` decides (see `TaskOptions`). All attributes belong to the
    class: tables are made from score rows without an object.

    Attributes:
        name: that of its entry point.
        requires: the function of the method that it calls, such as "embed".
        splits: those that it runs under.
        metrics: all that it may measure, in the order of its tables. Numbers that a method says of itself are not
            declared: they have the setting "method", and nothing is ranked by them.
        key_scores: the first orders its tables, and the leaderboard if the task stands first in it.
    """

    name: str
    requires: str
    splits: tuple[Split, ...]
    metrics: tuple[Metric, ...]
    key_scores: tuple[KeyScore, ...]

    def score(self, *given: Any) -> Iterator[Measured | NotApplicable]:
        """What it measured. It needs no model: `requires` decides what it is given.

        "embed" or "embed_image": `score(train: Spots, test: Spots, seed: int)`. The embeddings of all slides are made
        and kept by the benchmark, which also averages them over neighbours.

        Any other function: `score(slide, predicted)`, a test slide and the arrays that `predict` returned for it.
        """
        ...


class TaskOptions(Protocol):
    """What a task may offer besides.

    Attributes:
        key: the column of obs that holds its labels; None: it needs no labels, and all spots are served.
        min_support: spots that a label needs on a slide to be part of its macro means. `check` refuses a task that no
            slide has two such labels for. 0: any number.
        title: as pages call it; left out: its name.
        order: where it stands among other tasks; the least comes first and orders the leaderboard.
        protocol: raised by one when its scores come to mean something else. Rows of two protocols are never compared.
        within_slides: whether no score of it compares spots of two slides. A method that is `transductive` can then be
            scored too.
        settings: titles of its settings. A key may be a regular expression; its title may name groups, as `re` does.
    """

    key: str | None = "label"
    min_support: int = 0
    title: str = ""
    order: int = 100
    protocol: int = 1
    within_slides: bool = False
    settings: Mapping[str, str] = {}

    def predict(self, method: Method, corpus: Corpus, slide: AnnData) -> Mapping[str, np.ndarray]:
        """Named arrays to be saved: what the fitted method says of one test slide. Called where its model is.

        Args:
            corpus: the training slides, as methods are given them: without labels.
            slide: likewise. Hide here what the method must not see.

        Raises:
            ValueError: what the method returns has another shape, or values that are not finite.
        """

    def score_predictions(
        self, slides: list[AnnData], predicted: list[Mapping[str, np.ndarray]]
    ) -> Iterator[Measured | NotApplicable]:
        """For a task of embeddings that has `predict` too: its scores of all test slides that `predict` had arrays
        for, together."""

    def predictions(self, train: Spots, test: Spots) -> np.ndarray:
        """A label for each test spot, `[n_test]`, to be drawn as a map of the tissue."""
