"""The share of the variance of scores that each setting of a method holds: eta squared."""

from __future__ import annotations

import numpy as np

from benchmark.stats.grids import Grid, marginal_means


def variance(grid: Grid) -> list[dict]:
    """For each factor, the columns of its shares; or the column `no_share`, the reason why there are none.

    The shares rest on the `n_places` (donor, seed) in which every arm has a score.
    """
    values, planned = grid.values, grid.planned
    for axis in range(planned.ndim):
        reasons = marginal_means(grid, (axis,)).reasons
        kept = [index for index, reason in enumerate(reasons) if not reason] or list(range(len(reasons)))
        values, planned = values.take(kept, axis), planned.take(kept, axis)
    repeats = values.reshape(*planned.shape, -1)
    whole = repeats[..., ~np.isnan(repeats).any(axis=tuple(range(planned.ndim)))]
    holes = int((~planned).sum() + (planned & np.isnan(repeats).all(axis=-1)).sum())
    if holes or not whole.size:
        lacking = f"{holes} of {planned.size} combinations have no score" if holes else "no donor and seed has all arms"
        return [{"no_share": f"no share of the variance: {lacking}"}] * planned.ndim
    if np.ptp(whole) == 0:
        return [{"no_share": "no share of the variance: all scores are equal"}] * planned.ndim
    factors, interactions, blocks, rest = shares(whole)
    others = {
        "share_interactions": interactions,
        "share_donors_seeds": blocks,
        "share_rest": rest,
        "n_places": whole.shape[-1],
        "no_share": "",
    }
    return [{"share": share} | others for share in factors]


def shares(values: np.ndarray) -> tuple[list[float], float, float, float]:
    """Eta squared, the sum of squares over the total one, of each factor, their interactions, blocks and the rest.

    This is the analysis of variance of a randomised complete block design. Factors are crossed and have no replicates.
    A block is a (donor, seed); it has every combination. The rest is noise, and how the effects differ between blocks.
    The shares add up to 1. Cohen 1973, Educational and Psychological Measurement 33:107–112.

    Args:
        values: `[*n_levels, n_blocks]`, one axis per factor, none NaN, not all equal.
    """
    factors = tuple(range(values.ndim - 1))
    centred = values - values.mean()
    total = (centred**2).mean()
    settings = (centred.mean(axis=-1) ** 2).mean() / total
    blocks = (centred.mean(axis=factors) ** 2).mean() / total
    main = [
        float((centred.mean(axis=tuple(other for other in range(values.ndim) if other != axis)) ** 2).mean() / total)
        for axis in factors
    ]
    return main, float(settings - sum(main)), float(blocks), float(1 - settings - blocks)
