"""The scale of an embedding's dimensions: standardised on the training spots, and what no probe can read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.tasks.sampling import in_parts

ROUNDING = 1e-6  # a spread of less than this share of a dimension's size is rounding of float32, not signal


def check_embedding(*sides: np.ndarray) -> None:
    """Raises UnitBenchError: an embedding is not `[n, d]` with d of 1 or more, or has NaN or infinite values."""
    for side in sides:
        if side.ndim != 2 or side.shape[1] == 0:
            raise UnitBenchError("embedding", f"shape {side.shape}", "return [n_spots, d] with d of 1 or more")
        if not np.isfinite(side).all():
            raise UnitBenchError("embedding", "NaN or infinite values", "return finite values")


def scaling(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that gives `[n, d]` in deviations of the training spots `[n_train, d]` from their mean, float32.

    A dimension that is constant over the training spots is 0 everywhere.
    """
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    unit = np.where(deviation > ROUNDING * np.abs(train).max(axis=0), deviation, np.inf)
    return partial(in_parts, lambda values: ((values - mean) / unit).astype(np.float32))
