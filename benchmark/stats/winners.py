"""Which unit wins at which budget, on which task: the champions of units, paired over the same donors and seeds."""

from __future__ import annotations

import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.champions import BEST, MATCH, Champions, parameters
from benchmark.stats.comparisons import PAIRED, UNCLEAR, corrected, paired
from benchmark.stats.contests import Contest, select


def standings(matches: Champions) -> pd.DataFrame:
    """One row per match and unit: its score with an interval, and the label that stands for it."""
    records = [
        (*match.columns, unit, best.method, best.n_entrants, intervals.mean(values), *intervals.bootstrap(values))
        for match, units in matches.items()
        for unit, best in units.items()
        for values in [best.scores.to_numpy()]
    ]
    return pd.DataFrame(records, columns=[*MATCH, "unit", "method", "n_entrants", "value", "low", "high"])


def winners(matches: Champions) -> pd.DataFrame:
    """One row per match of two units or more: the first, the second, and whether the first wins.

    `difference` and its interval are those of the first and the second. The first wins if it beats every other unit:
    `p` is the largest of its sign-flip tests over donors, corrected by Holm over the budgets of a contest and size.
    """
    records = []
    for match, units in matches.items():
        sign = -1 if match.contest.lower_is_better else 1
        means = {unit: sign * intervals.mean(best.scores.to_numpy()) for unit, best in units.items()}
        order = sorted(units, key=lambda unit: -means[unit])
        if len(order) > 1:
            first, *others = (units[unit].scores for unit in order)
            tests = [paired(first, other, match.contest) for other in others]
            difference, low, high, n_donors, _ = tests[0]
            p = max(p if difference > 0 else 1.0 for difference, *_, p in tests)
            records.append((*match.columns, *order[:2], difference, low, high, n_donors, p))
    table = pd.DataFrame(records, columns=[*MATCH, "first", "second", *PAIRED])
    table = corrected(table, *Contest._fields, "size", "budget_axis")
    won = table["first"] + " wins"
    lost = table["verdict"].replace(UNCLEAR, "no clear winner")
    return table.assign(verdict=won.where(table["verdict"] == "better", lost))


def iso_flop(rows: pd.DataFrame, standing: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The standings of one contest at each trunk size, with the column `parameters`, of the label behind them."""
    fixed = select(standing, contest)
    fixed = fixed[fixed["size"] != BEST]
    sized = fixed.assign(parameters=fixed["method"].map(parameters(rows)).astype(float)).dropna(subset="parameters")
    return sized.sort_values(["unit", "budget", "parameters"], ignore_index=True)
