"""How sure a mean is: a bootstrap over folds, donors and seeds, tests over folds, Holm's correction."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

N_RESAMPLES = 2000
LEVEL = 0.95


def mean(scores: np.ndarray) -> float:
    """Mean over blocks of the mean over seeds of `scores` `[n_blocks, n_seeds]`, NaN where an arm gave no value."""
    scores = scores[~np.isnan(scores).all(axis=1)]
    return float(np.nanmean(scores, axis=1).mean())


def bootstrap(scores: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """The percentile interval of `mean(scores)` when clusters, blocks within them, and seeds are drawn anew.

    A block is a donor. A cluster holds the donors that one trained model was tested on: those of one fold. Clusters are
    drawn first, then as many donors within each as it has (a two-stage cluster bootstrap: Davison and Hinkley 1997,
    Bootstrap Methods and their Application, section 3.8). Where each fold holds one donor, this draws donors.
    Seeds are crossed with donors, not nested in them: one seed gives one initialisation, which meets every donor.
    The draws depend only on the shape of `scores` and on `clusters`, so the same rows always give the same interval.

    Args:
        scores: `[n_blocks, n_seeds]`, NaN where an arm gave no value.
        clusters: `[n_blocks]`, the name of each block's cluster.

    Returns:
        (low, high), or (nan, nan) where there is only one score, so nothing to resample.
    """
    present = ~np.isnan(scores).all(axis=1)
    scores, clusters = scores[present], np.asarray(clusters)[present]
    if scores.size < 2:
        return np.nan, np.nan
    return percentiles(resampled(scores, clusters))


def percentiles(drawn: np.ndarray) -> tuple[float, float]:
    """The interval that holds 95% of `drawn` `[n]`, NaN left out."""
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled(scores: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """`mean(scores)` of each draw, `[N_RESAMPLES]`; see `bootstrap`. Scores of one shape and one set of clusters are
    drawn alike, so differences between them are paired."""
    codes = np.unique(clusters, return_inverse=True)[1]
    return _means(scores, *draws(tuple(codes.tolist()), scores.shape[1]))


def _means(scores: np.ndarray, blocks: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """`mean` of each draw, `[N_RESAMPLES]`, NaN where a draw holds no score."""
    present = ~np.isnan(scores)
    count = seeds @ present.T
    total = seeds @ np.where(present, scores, 0).T
    weight = blocks * (count > 0)
    with np.errstate(invalid="ignore"):
        means: np.ndarray = (weight * total / np.maximum(count, 1)).sum(axis=1) / weight.sum(axis=1)
    return means


@lru_cache
def draws(clusters: tuple[int, ...], n_seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each block and each seed is drawn, `[N_RESAMPLES, n_blocks]` and `[N_RESAMPLES, n_seeds]`."""
    rng, sizes = np.random.default_rng(0), np.bincount(clusters)
    drawn, seeds = (rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES) for n in (len(sizes), n_seeds))
    blocks = np.empty((N_RESAMPLES, len(clusters)))
    for cluster, size in enumerate(sizes):
        within = rng.multinomial(drawn[:, cluster] * size, np.full(size, 1 / size))
        blocks[:, np.equal(clusters, cluster)] = within
    return blocks, seeds.astype(float)


def summed(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Sums of `values` `[..., n_blocks]` over the blocks of each cluster, `[..., n_clusters]`.

    What a test flips or exchanges as a whole: the donors of one fold share a model, so they do not vary by themselves.
    """
    codes = np.unique(clusters, return_inverse=True)[1]
    sums: np.ndarray = values @ np.equal.outer(codes, np.arange(codes.max(initial=-1) + 1)).astype(float)
    return sums


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p of paired differences `[n]`, under the null that each sign is as likely as the other.

    Exact up to 13 differences. The smallest possible value is 2 / 2**n.
    """
    if len(differences) < 2:
        return 1.0
    from scipy.stats import permutation_test  # slow to import, and most commands test nothing

    test = permutation_test(
        (differences, np.zeros_like(differences)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def spread_test(levels: np.ndarray) -> float:
    """p of the distance between the best and the worst of several levels, `[n_levels, n]`, none NaN.

    Under the null a donor (or the donors of a fold together) scores the same at every level, so levels change places
    within it. The distance itself is tested, so picking the best and the worst needs no correction. With two levels
    this is `sign_flip`. The smallest possible value is n_levels! ** (1 - n).
    """
    if levels.shape[1] < 2:
        return 1.0
    from scipy.stats import permutation_test  # slow to import, and most commands test nothing

    test = permutation_test(
        tuple(levels),
        lambda *drawn, axis: np.ptp([level.mean(axis=axis) for level in drawn], axis=0),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of `p` `[n_tests]` for the family-wise error."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1)
