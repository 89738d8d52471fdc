"""The share of the variance of scores that each setting of a method holds, corrected for noise: epsilon squared."""

from __future__ import annotations

import math

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
    if holes or whole.shape[-1] < 2:
        lacking = (
            f"{holes} of {planned.size} combinations have no score" if holes else "no two donors or seeds have all arms"
        )
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
    """Epsilon squared of each factor, of their interactions and of blocks, and the rest.

    ε² = (SS − df · MS of the rest) / total SS (Kelley 1935, PNAS 21:554–559). Of noise alone it is 0 on average, so it
    may fall below 0; eta squared, SS / total SS, is above 0 of noise too, the more the more levels a factor has.

    This is the analysis of variance of a randomised complete block design. Factors are crossed and have no replicates.
    A block is a (donor, seed); it has every combination. The rest is noise, and how the effects differ between blocks.
    The shares add up to 1.

    Args:
        values: `[*n_levels, n_blocks]`, one axis per factor, none NaN, not all equal, 2 blocks or more.
    """
    axes = tuple(range(values.ndim))
    factors, n_settings, n_blocks = axes[:-1], math.prod(values.shape[:-1]), values.shape[-1]
    centred = values - values.mean()
    total = float((centred**2).sum())

    def squares(*kept: int) -> float:
        """Sum of squares of the means over all axes but these."""
        others = tuple(axis for axis in axes if axis not in kept)
        return float((centred.mean(axis=others) ** 2).sum() * math.prod(values.shape[axis] for axis in others))

    settings, blocks = squares(*factors), squares(axes[-1])
    rest = (total - settings - blocks) / ((n_settings - 1) * (n_blocks - 1))  # mean square
    main = [(squares(axis) - (values.shape[axis] - 1) * rest) / total for axis in factors]
    of_settings = (settings - (n_settings - 1) * rest) / total
    of_blocks = (blocks - (n_blocks - 1) * rest) / total
    return main, of_settings - sum(main), of_blocks, 1 - of_settings - of_blocks
