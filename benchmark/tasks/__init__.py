"""What all tasks share: the spots that they score and the values that they report.

A task is a frozen dataclass whose fields are its options, found under the entry-point group `unitbench.tasks`:

- `name`; `requires`, the function of the method that it calls; `splits`, the splits that it runs under;
  `primary`, the (setting, metric) that orders the leaderboard, and `higher_is_better` for it.
- Where `requires` is "embed": `score(train: Spots, test: Spots, seed)` yields what it measured.
- Otherwise: `predict(method, corpus, slide)` runs beside the method's model and returns named arrays to be saved;
  `score(slide, predicted)` turns them into what it measured, and needs no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Spots:
    """Spots with frozen embeddings: `embedding` `[n_spots, d]`, `label` `[n_spots]`, and `slide` `[n_spots]`, the name
    under which each is reported: its slide's, or "pooled" for all."""

    embedding: np.ndarray
    label: np.ndarray
    slide: np.ndarray


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
