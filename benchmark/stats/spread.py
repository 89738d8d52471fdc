"""How far the best level of an option is from the worst, over the donors and seeds that all levels have."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.comparisons import ALPHA, CLEAR, TOO_FEW, UNCLEAR, paired
from benchmark.stats.contests import Contest, select
from benchmark.stats.options import levels
from benchmark.stats.rows import score_matrix, scores


class Spread(NamedTuple):
    """The best and the worst of several levels, and the difference between them."""

    best: str
    worst: str
    n_levels: int
    difference: float
    low: float
    high: float
    n_donors: int
    p: float

    @property
    def clear(self) -> bool:
        """Whether the levels differ."""
        return self.p < ALPHA

    @property
    def verdict(self) -> str:
        """`CLEAR`, `UNCLEAR`, or `TOO_FEW` if so few donors could not have given a small p."""
        if self.clear:
            return CLEAR
        least = math.factorial(self.n_levels) ** (1.0 - self.n_donors) if self.n_donors else 1.0
        return TOO_FEW if least >= ALPHA else UNCLEAR


def by_level(rows: pd.DataFrame, plugin: str, option: str, contest: Contest) -> tuple[float, dict[str, pd.DataFrame]]:
    """The scores of each level of an option of a plugin, at the plugin's largest budget.

    Each score is a mean over the settings of all other options, of those settings that every level was scored with.
    So levels differ in this option alone.

    Returns:
        The budget, and level → scores, one row per donor, one column per seed.
    """
    labels = levels(rows, option)
    labels = labels[labels["plugin"] == plugin]
    of_plugin = rows[rows["method"].isin(labels.index)]
    budget = float(of_plugin["budget"].max())
    table = score_matrix(select(scores(of_plugin[of_plugin["budget"] == budget]), contest))
    table = table.reset_index(["method", "block"]).join(labels[["level", "rest"]], on="method")
    complete = table.groupby("rest")["level"].nunique() == table["level"].nunique()
    table = table[table["rest"].map(complete).eq(True)].drop(columns=["method", "rest"])
    return budget, {
        str(level): part.groupby("block").mean() for level, part in table.set_index("level").groupby("level")
    }


def spread(tables: dict[str, pd.DataFrame], contest: Contest) -> Spread | None:
    """The best against the worst of some levels. None if there is one level, or if no donor has all of them.

    Best and worst are picked by the scores that they are compared by, so the interval leans away from 0. `p` does not:
    it is that of the distance itself, see `intervals.spread_test`.

    Args:
        tables: level → scores, one row per donor, one column per seed.
    """
    if len(tables) < 2:
        return None
    values = pd.DataFrame({level: table.stack() for level, table in tables.items()}).dropna()
    if values.empty:
        return None
    by_donor = values.groupby("block").mean()
    best, *_, worst = by_donor.mean().sort_values(ascending=contest.lower_is_better, kind="stable").index
    difference, low, high, n_donors, _ = paired(values[best].unstack(), values[worst].unstack(), contest)
    p = intervals.spread_test(by_donor.to_numpy().T)
    return Spread(best, worst, len(tables), difference, low, high, n_donors, p)
