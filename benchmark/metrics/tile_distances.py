"""All distances of two sets of image tiles: of their features together, and of each morphology feature."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.metrics.images import feature_distances, frechet, mmd2
from benchmark.metrics.morphology import FEATURES


def distances(
    real: np.ndarray, made: np.ndarray, real_shape: np.ndarray, made_shape: np.ndarray, scale: np.ndarray
) -> Iterator[tuple[str, str, float | str]]:
    """Distances of two sets of images.

    Args:
        real, made: features, `[n, d]` and `[m, d]`.
        real_shape, made_shape: morphology, `[n, 10]` and `[m, 10]`.
        scale: of the morphology, `[10]`.

    Yields:
        The morphology feature or "", the metric, and the value or the reason why there is none.
    """
    yield "", "mmd2", mmd2(real, made)
    try:
        yield "", "frechet", frechet(real, made)
    except UnitBenchError as error:
        yield "", "frechet", f"{error.cause}, {error.remedy}"
    both = feature_distances(real_shape, made_shape, scale)
    for metric, values in zip(("wasserstein", "ks"), both, strict=True):
        yield "", metric, float(values.mean())
        yield from ((feature, metric, float(value)) for feature, value in zip(FEATURES, values, strict=True))
