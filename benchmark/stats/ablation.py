"""What each setting of a method changes: means over a grid of settings, and main effects."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.correction import corrected
from benchmark.stats.grids import GRID, Grid, marginal_means
from benchmark.stats.variance import variance

COUNTS = ["n_present", "n_expected"]
MEAN_COLUMNS = [*GRID, "factor", "level", "factor_2", "level_2", "value", "low", "high", *COUNTS, "reason"]
EFFECT_COLUMNS = [
    *GRID,
    *["factor", "n_levels", "best", "best_value", "worst", "worst_value", "difference", "low", "high", "n_donors"],
    *COUNTS,
    *["p", "least", "p_holm", "verdict"],
    *["share", "share_interactions", "share_donors_seeds", "share_rest", "n_places", "reason"],
]


def means(grids: list[Grid]) -> pd.DataFrame:
    """The mean over all other factors, of each level of each factor, then of each two levels of each two factors.

    `low` and `high` bound its 95% bootstrap interval over donors and seeds. `n_present` of `n_expected` counts the
    scores behind it: the (other settings, donor, seed) that all means of the same factors share.
    """
    records = []
    for grid in grids:
        names = list(grid.family.factors)
        for kept in [*combinations(range(len(names)), 1), *combinations(range(len(names)), 2)]:
            marginal = marginal_means(grid, kept)
            levels = pd.MultiIndex.from_product([grid.family.factors[names[axis]] for axis in kept])
            for level, values, reason in zip(levels, marginal.values, marginal.reasons, strict=True):
                labels = [part for axis, text in zip(kept, level, strict=True) for part in (names[axis], text)]
                ends = () if reason else intervals.bootstrap(values, grid.clusters)
                value = (np.nan,) * 3 if reason else (intervals.mean(values), *ends)
                labels = [*labels, "", ""][:4]
                counts = (marginal.n_present, marginal.n_expected)
                records.append((*grid.key.values(), *labels, *value, *counts, reason))
    return pd.DataFrame(records, columns=MEAN_COLUMNS)


def effects(grids: list[Grid]) -> pd.DataFrame:
    """One row per factor: its best and worst level, how far apart they are, and its share of the variance.

    `difference` is paired by donor, seed and the other factors. Best and worst are picked by the scores that they are
    compared by, so the interval leans away from 0. `p` does not: it is that of the distance itself (see
    `intervals.spread_test`); `least` is the smallest p that so many folds could have given. `p_holm` is corrected over
    this table; a page corrects it over all that it tests. For the shares see `benchmark.stats.variance`.
    """
    records = [
        grid.key | {"factor": name} | _distance(grid, axis) | shares
        for grid in grids
        for axis, (name, shares) in enumerate(zip(grid.family.factors, variance(grid), strict=True))
    ]
    table = corrected(pd.DataFrame(records, columns=[*EFFECT_COLUMNS, "no_share"]))[0]
    table["reason"] = ["; ".join(filter(None, both)) for both in table[["reason", "no_share"]].itertuples(index=False)]
    counts = ["n_levels", "n_donors", "n_places"]
    return table[EFFECT_COLUMNS].fillna({"n_places": 0}).astype(dict.fromkeys(counts, int))


def _distance(grid: Grid, axis: int) -> dict:
    """The best level of a factor against the worst, as columns of the table of effects."""
    marginal, levels = marginal_means(grid, (axis,)), list(grid.family.factors.values())[axis]
    reasons = dict(zip(levels, marginal.reasons, strict=True))
    kept = [level for level in levels if not reasons[level]]
    values = marginal.values[[not reason for reason in marginal.reasons]]
    present = ~np.isnan(values).all(axis=(0, 2))
    values, clusters = values[:, present], grid.clusters[present]
    columns = {
        "n_levels": len(kept),
        "n_donors": values.shape[1],
        "n_present": marginal.n_present,
        "n_expected": marginal.n_expected,
        "best": "",
        "worst": "",
        "reason": "; ".join(f"{level}: {reason}" for level, reason in reasons.items() if reason),
    }
    if len(kept) < 2:
        return columns
    average = np.array([intervals.mean(level) for level in values])
    sign = -1 if grid.contest.lower_is_better else 1
    best, worst = (sign * average).argmax(), (sign * average).argmin()
    difference = sign * (values[best] - values[worst])
    low, high = intervals.bootstrap(difference, clusters)
    by_fold = intervals.summed(np.nanmean(values, axis=2), clusters)
    return columns | {
        **{"best": kept[best], "best_value": average[best], "worst": kept[worst], "worst_value": average[worst]},
        **{"difference": intervals.mean(difference), "low": low, "high": high},
        **{"p": intervals.spread_test(by_fold), "least": math.factorial(len(kept)) ** (1.0 - by_fold.shape[1])},
    }
