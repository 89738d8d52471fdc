"""What all tasks share: the spots that they score and the values that they report.

A task is a frozen dataclass whose fields are its options, found under the entry-point group `unitbench.tasks`:

- `name`; `requires`, the function of the method that it calls; `splits`, the splits that it runs under;
  `primary`, the (setting, metric) that orders the leaderboard, and `higher_is_better` for it.
- Where `requires` is "embed" or "embed_image", features of the slides are saved and `score(train: Spots, test: Spots,
  seed)` yields what it measured. `key` names the column of obs that holds the labels ("label" where a task has no
  `key`); with `key` None all spots are served, with their counts.
- Otherwise: `predict(method, corpus, slide)` runs beside the method's model and returns named arrays to be saved;
  `score(slide, predicted)` turns them into what it measured, and needs no model.
- A task of features may have a `predict` too, which returns none where the method or the slide has nothing more to say;
  `score_predictions(slides, predicted)` is then given those test slides together that it returned some for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from benchmark.data.tiles import has_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmark.data.corpus import Corpus

FEATURES = {"embed": "embeddings.npz", "embed_image": "image_embeddings.npz"}  # where each function's are saved


@dataclass(frozen=True)
class Spots:
    """Spots with frozen embeddings: `embedding` `[n_spots, d]`, `label` `[n_spots]`, and `slide` `[n_spots]`, the name
    under which each is reported: its slide's, or "pooled" for all.

    A task without labels is given raw `counts` instead, `[n_spots, n_genes]`, and every label is empty.
    """

    embedding: np.ndarray
    label: np.ndarray
    slide: np.ndarray
    counts: sp.csr_matrix | None = None


class Measured(NamedTuple):
    """One value of one metric over the test spots reported under `slide`."""

    setting: str
    metric: str
    value: float
    slide: str = "pooled"
    n_train: int = 0
    n_test: int = 0


class NotApplicable(NamedTuple):
    """A setting that cannot be measured on this slide, whatever the method, and why."""

    setting: str
    reason: str
    slide: str = "pooled"


def served(task: Any, corpus: Corpus) -> tuple[str, ...]:
    """The slides that a task of features can be scored on: those with labels, an image, or both, as it asks."""
    return _with(corpus, label_column(task), task.requires != "embed")


@lru_cache(maxsize=16)  # asked for every arm, and each answer reads the slides
def _with(corpus: Corpus, key: str | None, image: bool) -> tuple[str, ...]:
    names = corpus.names if key is None else corpus.labelled_by(key)
    return tuple(name for name in names if has_image(corpus[name])) if image else names


def unserved(task: Any, corpus: Corpus, fit: Iterable[str], test: Iterable[str]) -> str:
    """Why a task of features cannot be scored in a fold of these slides; empty where it can."""
    key = label_column(task)
    labelled = {None: "slide", "label": "labelled slide"}.get(key, f"slide labelled by {key!r}")
    image = " with an image" if task.requires == "embed_image" else ""
    there = set(served(task, corpus))
    for side, purpose in ((fit, "to learn from"), (test, "to test")):
        if not there.intersection(side):
            return f"no {labelled}{image} {purpose}"
    return ""


def label_column(task: Any) -> str | None:
    """The column of obs that the task's labels are in; None where it needs none."""
    return getattr(task, "key", "label")
