"""How far the best level of an option is from the worst, over the donors and seeds that all levels have."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.comparisons import paired
from benchmark.stats.contests import Contest, select
from benchmark.stats.options import levels
from benchmark.stats.rows import BLOCK, REPEATS, cells, comparable, scores


class Spread(NamedTuple):
    """The best and the worst of several levels, and the difference between them.

    `n_pairs` counts the (donor, seed) that all levels have, of the `n_possible` that one of them has. For `p` and
    `least` see `comparisons.Paired`.
    """

    best: str
    worst: str
    n_levels: int
    difference: float
    low: float
    high: float
    n_donors: int
    n_pairs: int
    n_possible: int
    p: float
    least: float


def by_level(rows: pd.DataFrame, plugin: str, option: str, contest: Contest) -> tuple[float, dict[str, pd.DataFrame]]:
    """The scores of each level of an option of a plugin, at the plugin's largest budget.

    Each score is a mean over the settings of all other options, of those settings that every level was scored with on
    that donor and seed. So levels differ in this option alone.

    Returns:
        The budget, and level → scores, one row per (cluster, donor), one column per seed.
    """
    labels = levels(rows, option)
    labels = labels[labels["plugin"] == plugin]
    measured = scores(select(rows, contest))
    measured = measured[measured["method"].isin(labels.index)]
    budget = float(rows.loc[rows["method"].isin(labels.index), "budget"].max())
    values = cells(comparable(measured[measured["budget"] == budget])).rename("value").reset_index()
    values = values.join(labels[["level", "rest"]], on="method")
    by_rest = values.groupby(["rest", *REPEATS, "level"])["value"].mean().unstack("level").dropna()
    table = by_rest.groupby(REPEATS).mean()
    return budget, {str(level): table[level].unstack("seed") for level in table}


def spread(tables: dict[str, pd.DataFrame], contest: Contest) -> Spread | None:
    """The best against the worst of some levels. None if there is one level, or if no donor has all of them.

    Best and worst are picked by the scores that they are compared by, so the interval leans away from 0. `p` does not:
    it is that of the distance itself, see `intervals.spread_test`.

    Args:
        tables: level → scores, one row per (cluster, donor), one column per seed.
    """
    if len(tables) < 2:
        return None
    every = pd.DataFrame({level: cells(table) for level, table in tables.items()})
    values = every.dropna()
    if values.empty:
        return None
    by_donor = values.groupby(BLOCK).mean()
    best, *_, worst = by_donor.mean().sort_values(ascending=contest.lower_is_better, kind="stable").index
    test = paired(values[best].unstack(), values[worst].unstack(), contest)
    by_fold = intervals.summed(by_donor.to_numpy().T, by_donor.index.get_level_values("cluster").to_numpy())
    return Spread(
        best,
        worst,
        len(tables),
        *(test.difference, test.low, test.high, test.n_donors),
        *(len(values), int(every.notna().any(axis=1).sum())),
        intervals.spread_test(by_fold),
        math.factorial(len(tables)) ** (1.0 - by_fold.shape[1]),
    )
