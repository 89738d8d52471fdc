"""How sure a mean is: a bootstrap over donors and seeds, a sign-flip test over donors, Holm's correction."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

N_RESAMPLES = 2000
LEVEL = 0.95


def mean(scores: np.ndarray) -> float:
    """Mean over blocks of the mean over seeds of `scores` `[n_blocks, n_seeds]`, NaN where an arm gave no value."""
    scores = scores[~np.isnan(scores).all(axis=1)]
    return float(np.nanmean(scores, axis=1).mean())


def bootstrap(scores: np.ndarray) -> tuple[float, float]:
    """The percentile interval of `mean(scores)` when blocks (donors or repeats) and seeds are both drawn anew.

    Seeds are crossed with blocks, not nested in them: one seed gives one initialisation, which meets every donor.
    The draws depend only on the shape of `scores`, so the same rows always give the same interval.
    With few donors the interval is too narrow. In 1,000 simulations with normal donor and seed effects it held the
    truth in 89% of cases with 8 donors and 3 seeds, in 92% with 15 and 5, in 81 to 86% with 4 and 3.

    Args:
        scores: `[n_blocks, n_seeds]`, NaN where an arm gave no value.

    Returns:
        (low, high), or (nan, nan) where there is only one score, so nothing to resample.
    """
    scores = scores[~np.isnan(scores).all(axis=1)]
    if scores.size < 2:
        return np.nan, np.nan
    return _percentiles(_means(scores, *_draws(*scores.shape)))


def bootstrap_apart(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The percentile interval of `mean(a) - mean(b)` where the blocks of the two differ in kind.

    Blocks are drawn anew on each side alone. Seeds are drawn for both sides at once, since one seed gives one
    initialisation on both. A side of one block adds no spread of blocks.

    Args:
        a: `[n_blocks_a, n_seeds]`, NaN where an arm gave no value.
        b: `[n_blocks_b, n_seeds]` of the same seeds.
    """
    a, b = (scores[~np.isnan(scores).all(axis=1)] for scores in (a, b))
    if not a.size or not b.size or max(a.size, b.size) < 2:
        return np.nan, np.nan
    blocks, seeds = _draws(*a.shape)
    others, _ = _draws(*b.shape, stream=1)
    return _percentiles(_means(a, blocks, seeds) - _means(b, others, seeds))


def _means(scores: np.ndarray, blocks: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """`mean` of each draw, `[N_RESAMPLES]`, NaN where a draw holds no score."""
    present = ~np.isnan(scores)
    count = seeds @ present.T
    total = seeds @ np.where(present, scores, 0).T
    weight = blocks * (count > 0)
    with np.errstate(invalid="ignore"):
        return (weight * total / np.maximum(count, 1)).sum(axis=1) / weight.sum(axis=1)


def _percentiles(means: np.ndarray) -> tuple[float, float]:
    low, high = np.nanquantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@lru_cache
def _draws(n_blocks: int, n_seeds: int, stream: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """How often each block and each seed is drawn, `[N_RESAMPLES, n_blocks]` and `[N_RESAMPLES, n_seeds]`."""
    rng = np.random.default_rng(stream)
    blocks, seeds = (rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(float) for n in (n_blocks, n_seeds))
    return blocks, seeds


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p of paired differences `[n_donors]`, under the null that each sign is as likely as the other.

    Exact up to 13 donors. The smallest possible value is 2 / 2**n_donors.
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
    """p of the distance between the best and the worst of several levels, `[n_levels, n_donors]`, none NaN.

    Under the null a donor scores the same at every level, so levels change places within donors. The distance itself
    is tested, so picking the best and the worst needs no correction. With two levels this is `sign_flip`.
    The smallest possible value is n_levels! ** (1 - n_donors).
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
