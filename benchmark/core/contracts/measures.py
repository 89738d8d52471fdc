"""What tasks are given and what they report: spots, metrics, key scores, measured values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp

Split = Literal["donor", "block", "random", "few_labels"]


@dataclass(frozen=True)
class Metric:
    """One metric of a task.

    Attributes:
        name: as in score rows.
        title: as tables and figures call it.
        lower_is_better: ranks, winners and differences follow it.
        resampled: what its 95% interval on the leaderboard draws anew: "donors" (repeats of a split where spots are
            pooled) together with seeds, or "nothing": no interval, as for a value that is itself the end of one.
    """

    name: str
    title: str = ""
    lower_is_better: bool = False
    resampled: Literal["donors", "nothing"] = "donors"


@dataclass(frozen=True)
class KeyScore:
    """A score that stands in the short tables: the leaderboard on the terminal and the page, and MLflow's columns.

    Attributes:
        column: its heading, of letters that MLflow takes (letters, digits, blanks, `.`, `-`, `_`, `/`); short.
        setting: of the task; this and the next three say which score it is.
        metric: one of the task's.
        neighbours: how many spatial neighbours the embedding is averaged over.
        split: how test spots are held out.
        words: what the heading means, for the caption.
        also: a regular expression of more settings in which units compete by this metric.
    """

    column: str
    setting: str
    metric: str
    neighbours: int = 0
    split: Split = "donor"
    words: str = ""
    also: str = ""


@dataclass(frozen=True)
class Spots:
    """Spots with frozen embeddings: `embedding` `[n_spots, d]`, `label` `[n_spots]`, and `slide` `[n_spots]`, the name
    under which each is reported: its slide's, or "pooled" for all.

    A task without labels is given raw `counts` instead, `[n_spots, n_genes]`, and every label is empty.

    `group`, of training spots, `[n_spots]`: what stays together where something is chosen on training spots: the group
    of the slide (its donor, say), or the slide where all are of one group. None: it is not known.
    """

    embedding: np.ndarray
    label: np.ndarray
    slide: np.ndarray
    counts: sp.csr_matrix | None = None
    group: np.ndarray | None = None


class Measured(NamedTuple):
    """One value of one metric over the test spots reported under `slide`; `note`: what else to know about it."""

    setting: str
    metric: str
    value: float
    slide: str = "pooled"
    n_train: int = 0
    n_test: int = 0
    note: str = ""


class NotApplicable(NamedTuple):
    """A setting that cannot be measured on this slide, whatever the method, and why."""

    setting: str
    reason: str
    slide: str = "pooled"
