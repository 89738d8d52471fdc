"""Bounded work on large slides: what is fitted is fitted on a sample, and what is predicted is predicted in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmark.core.contracts import Spots

MOST_FITTED = 50_000  # spots that a probe or k-means is fitted on
AT_ONCE = 50_000  # spots that are predicted at once
SEED = 0  # of all samples: every method and seed learns from the same spots


def sampled(train: Spots) -> tuple[Spots, str]:
    """At most `MOST_FITTED` of the training spots, and what a row of scores says of it: nothing if they are all.

    Of each label of each slide there is the same share, up to one spot. The order of the spots stays.
    """
    n_spots = len(train.label)
    if n_spots <= MOST_FITTED:
        return train, ""
    # In a list that is sorted by slide and label, every so manyth spot.
    chance = np.random.default_rng(SEED).random(n_spots)
    order = np.lexsort((chance, *(np.unique(key, return_inverse=True)[1] for key in (train.label, train.slide))))
    chosen = np.sort(order[np.arange(MOST_FITTED) * n_spots // MOST_FITTED])
    parts = {name: getattr(train, name) for name in ("embedding", "label", "slide", "counts", "group")}
    some = {name: values[chosen] for name, values in parts.items() if values is not None}
    return replace(train, **some), of_all(MOST_FITTED, n_spots, "fitted on {} training spots")


def drawn(n_spots: int, most: int) -> np.ndarray:
    """Indices of `most` of `n_spots`, in order, by chance alone; of all, if they are no more."""
    if n_spots <= most:
        return np.arange(n_spots)
    return np.sort(np.random.default_rng(SEED).permutation(n_spots)[:most])


def of_all(most: int, n_spots: int, words: str) -> str:
    """What a row of scores says of a sample of `most` of `n_spots`; nothing if they are no more."""
    return words.format(f"{most:,} of {n_spots:,}") + f", seed {SEED}" if n_spots > most else ""


def in_parts(predict: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """What `predict` gives for the rows of `values` `[n, d]`, `[n, ...]`, a part of the rows at a time."""
    parts = [predict(values[start : start + AT_ONCE]) for start in range(0, max(1, len(values)), AT_ONCE)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
