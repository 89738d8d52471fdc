"""How far two sets of images are from each other, in features of them: KID, Fréchet, Wasserstein, Kolmogorov-Smirnov.

All of them are 0 for equal distributions (the unbiased KID on average, so that it may fall below): lower is better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmark.core.errors import UnitBenchError

SUBSETS = 200
LEVEL = 0.95
IMAGES_A_DIMENSION = 10  # a covariance of d dimensions takes at least 10 d images
MOST_DIMENSIONS = 128


class Interval(NamedTuple):
    value: float
    low: float
    high: float


def kid(real: np.ndarray, made: np.ndarray, seed: int = 0, share: float = 0.5) -> Interval:
    """Kernel distance of two sets of features `[n_real, d]` and `[n_made, d]`, unbiased (Bińkowski et al. 2018, ICLR).

    The value is that of all images. The interval is the delete-d jackknife's (Shao and Wu 1989, Annals of Statistics
    17): the values of random subsets of a `share` of each set, without replacement, their spread about their mean
    scaled by √(kept / left out).

    Raises:
        UnitBenchError: a subset would have fewer than 2 images.
    """
    if share * min(len(real), len(made)) < 2:
        raise UnitBenchError("KID", f"{len(real)} and {len(made)} images", "give at least 4 of each")
    kernels = polynomial(real, real), polynomial(made, made), polynomial(real, made)
    everything = np.arange(len(real)), np.arange(len(made))
    value, rng = _mmd(*kernels, *everything), np.random.default_rng(seed)
    found = []
    for _ in range(SUBSETS):
        kept = (rng.permutation(rows)[: int(share * len(rows))] for rows in everything)
        found.append(_mmd(*kernels, *kept))
    spread = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - np.mean(found)
    low, high = value + spread * (share / (1 - share)) ** 0.5
    return Interval(float(value), float(low), float(high))


def polynomial(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The kernel of KID, (a · b / d + 1)³: `[n, d]`, `[m, d]` → `[n, m]`."""
    return (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1) ** 3


def _mmd(of_real: np.ndarray, of_made: np.ndarray, across: np.ndarray, real: np.ndarray, made: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of the rows `real` and `made`: no image is compared with itself."""
    within = 0.0
    for kernel, rows in ((of_real, real), (of_made, made)):
        part, n = kernel[np.ix_(rows, rows)], len(rows)
        within += (part.sum() - np.trace(part)) / (n * (n - 1))
    return within - 2 * across[np.ix_(real, made)].mean()


def frechet(real: np.ndarray, made: np.ndarray) -> float:
    """Fréchet distance of the normal distributions with the two sets' means and covariances.

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), the trace of the root taken from the eigenvalues of Σ₁^½ Σ₂ Σ₁^½.

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
    """Wasserstein-1 (in units of `scale` `[d]`) and Kolmogorov-Smirnov distance of each column: `[n, d]`, `[m, d]` →
    `[d]` each."""
    from scipy.stats import ks_2samp, wasserstein_distance

    columns = list(zip(real.T, made.T, scale, strict=True))
    wasserstein = [wasserstein_distance(a, b) / unit for a, b, unit in columns]
    return np.array(wasserstein), np.array([ks_2samp(a, b, method="asymp").statistic for a, b, _ in columns])


def condition_gain(real: np.ndarray, made: np.ndarray, seed: int = 0) -> Interval:
    """What an image made for a spot has of that very spot, features `[n_spots, d]` each.

    1 − (squared distance to its own real image / mean squared distance to those of the other spots).

    A set of images can match another while each was made from the wrong spot's expression; this is 0 then, since an
    image is as near to any spot's as to its own. The interval is a bootstrap over spots.

    Raises:
        UnitBenchError: fewer than 3 spots.
    """
    n = len(real)
    if n < 3:
        raise UnitBenchError("condition gain", f"{n} spots", "give at least 3")
    real, made = real.astype(np.float64), made.astype(np.float64)
    squared = (made**2).sum(axis=1)[:, None] + (real**2).sum(axis=1) - 2 * made @ real.T
    own = np.diag(squared)
    other = (squared.sum(axis=1) - own) / (n - 1)
    weight = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=SUBSETS * 5)
    draws = 1 - (weight @ own) / np.maximum(weight @ other, 1e-300)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(1 - own.sum() / max(other.sum(), 1e-300)), float(low), float(high))
