"""Distances of two sets of images by their features: MMD², Fréchet, Wasserstein, Kolmogorov-Smirnov.

Lower is better. All are 0 for equal distributions. The unbiased MMD² is 0 on average, so it may be negative.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmark.core.errors import UnitBenchError

RESAMPLES = 1000  # of the bootstrap over spots
LEVEL = 0.95  # of intervals
IMAGES_A_DIMENSION = 10  # a covariance of d dimensions takes at least 10 d images
MOST_DIMENSIONS = 128  # of the Fréchet distance


class Interval(NamedTuple):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


def mmd2(real: np.ndarray, made: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two sets of features `[n_real, d]` and `[n_made, d]`, unbiased: no image is
    compared with itself (Gretton et al. 2012, JMLR 13:723–773), with the cubic kernel (a · b / d + 1)³.

    With the features of the Inception network this is KID (Bińkowski et al. 2018, ICLR). With other features its
    numbers are not to be compared with those of KID.

    Raises:
        UnitBenchError: fewer than 2 images in a set.
    """
    if min(len(real), len(made)) < 2:
        raise UnitBenchError("MMD²", f"{len(real)} and {len(made)} images", "give at least 2 of each")
    within = 0.0
    for features in (real, made):
        kernel, n = polynomial(features, features), len(features)
        within += (kernel.sum() - np.trace(kernel)) / (n * (n - 1))
    return float(within - 2 * polynomial(real, made).mean())


def polynomial(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The kernel (a · b / d + 1)³: `[n, d]`, `[m, d]` → float64 `[n, m]`."""
    kernel: np.ndarray = (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1) ** 3
    return kernel


def frechet(real: np.ndarray, made: np.ndarray) -> float:
    """Fréchet distance of two normal distributions with the means and covariances of `[n_real, d]` and `[n_made, d]`.

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½). The trace of the root is computed from the eigenvalues of Σ₁^½ Σ₂ Σ₁^½.

    Raises:
        UnitBenchError: over 128 dimensions, or fewer images than ten times the dimensions.
    """
    d, n = real.shape[1], min(len(real), len(made))
    if d > MOST_DIMENSIONS:
        raise UnitBenchError("Fréchet distance", f"{d} dimensions", f"give at most {MOST_DIMENSIONS}")
    if n < IMAGES_A_DIMENSION * d:
        raise UnitBenchError("Fréchet distance", f"{n} images in {d} dimensions", f"needs {IMAGES_A_DIMENSION * d}")
    a, b = (np.cov(part.astype(np.float64), rowvar=False).reshape(d, d) for part in (real, made))
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(min=0)).sum()
    shift = real.mean(axis=0, dtype=np.float64) - made.mean(axis=0, dtype=np.float64)
    return float(shift @ shift + np.trace(a) + np.trace(b) - 2 * shared)


def feature_distances(real: np.ndarray, made: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wasserstein-1 distance (in units of `scale` `[d]`) and Kolmogorov-Smirnov distance of each column, `[d]` each.

    `real` is `[n, d]`, `made` `[m, d]`.
    """
    from scipy.stats import ks_2samp, wasserstein_distance

    columns = list(zip(real.T, made.T, scale, strict=True))
    wasserstein = [wasserstein_distance(a, b) / unit for a, b, unit in columns]
    return np.array(wasserstein), np.array([ks_2samp(a, b, method="asymp").statistic for a, b, _ in columns])


def condition_gain(real: np.ndarray, made: np.ndarray, seed: int = 0) -> Interval:
    """How much nearer a made image is to the real image of its own spot than to those of other spots.

    1 − (squared distance to the own spot's image / mean squared distance to the images of the other spots), by features
    `[n_spots, d]` each. A set of images can match the real set although each was made from the expression of a wrong
    spot. The gain is then 0, since an image is as near to any spot's image as to its own. The interval is a bootstrap
    over spots.

    Raises:
        UnitBenchError: fewer than 3 spots.
    """
    n = len(real)
    if n < 3:
        raise UnitBenchError("condition gain", f"{n} spots", "give at least 3")
    real, made = real.astype(np.float64), made.astype(np.float64)
    squared = (made**2).sum(axis=1)[:, None] + (real**2).sum(axis=1) - 2 * made @ real.T
    same = np.diag(squared)
    other = (squared.sum(axis=1) - same) / (n - 1)
    weight = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    draws = 1 - (weight @ same) / np.maximum(weight @ other, 1e-300)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(1 - same.sum() / max(other.sum(), 1e-300)), float(low), float(high))
