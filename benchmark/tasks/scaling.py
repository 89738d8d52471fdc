"""The scale of an embedding's dimensions: standardised on the training spots, and what no probe can read."""

from __future__ import annotations

import numpy as np

from benchmark.core.errors import UnitBenchError

ROUNDING = 1e-6  # a spread of less than this share of a dimension's size is rounding of float32, not signal


def check_embedding(*sides: np.ndarray) -> None:
    """Raises UnitBenchError: an embedding is not `[n, d]` with d of 1 or more, or has NaN or infinite values."""
    for side in sides:
        if side.ndim != 2 or side.shape[1] == 0:
            raise UnitBenchError("embedding", f"shape {side.shape}", "return [n_spots, d] with d of 1 or more")
        if not np.isfinite(side).all():
            raise UnitBenchError("embedding", "NaN or infinite values", "return finite values")


def scaled(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """`train` `[n_train, d]` and `others` `[n, d]` in deviations of the training spots from their mean, float32.

    A dimension that is constant over the training spots is 0 everywhere.
    """
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    unit = np.where(deviation > ROUNDING * np.abs(train).max(axis=0), deviation, np.inf)
    return [((side - mean) / unit).astype(np.float32) for side in (train, *others)]
