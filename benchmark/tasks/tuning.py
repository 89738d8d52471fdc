"""Choices that a probe makes on its training spots: each candidate is tried on donors that were left out in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmark.metrics.labels import hits

MOST_SPOTS = 1500  # that a choice is made on, drawn by the seed, so that it costs little beside the probe itself
PARTS = 3  # that they are dealt into, at most

# Fitted on embedding [n_train, d] and label [n_train], it gives labels [n] to an embedding [n, d].
Classifier = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def choose(
    candidates: Sequence[Classifier], train: np.ndarray, label: np.ndarray, group: np.ndarray | None, seed: int
) -> int:
    """Index of the candidate with the best macro-F1 over the left-out spots of all parts; of equals, the first.

    Args:
        train, label: of the training spots, `[n_train, d]` and `[n_train]`. No test spot is seen.
        group: of each training spot, `[n_train]`; a group lies in one part. None, or one group: spots are dealt out.
    """
    spots = np.random.default_rng(seed).permutation(len(label))[:MOST_SPOTS]
    train, label = train[spots], label[spots]
    group = np.arange(len(spots)) if group is None or len(set(group[spots])) == 1 else group[spots]
    predicted = np.empty((len(candidates), len(spots)), dtype=label.dtype)
    for fit, left_out in _parts(group):
        one = (label[fit] == label[fit][0]).all()
        for row, classify in zip(predicted, candidates, strict=True):
            row[left_out] = label[fit][0] if one else classify(train[fit], label[fit], train[left_out])
    return int(np.argmax([hits(label, row).f1 for row in predicted]))


def _parts(group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of the spots that are learned from and of those that are left out, for each part."""
    from sklearn.model_selection import GroupKFold

    yield from GroupKFold(min(PARTS, len(set(group)))).split(group, groups=group)
