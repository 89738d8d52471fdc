"""Which unit wins at which budget, on which task: the champions of units, paired over the same donors and seeds."""

from __future__ import annotations

import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.champions import BEST, MATCH, Champions, parameters
from benchmark.stats.comparisons import PAIRED, paired
from benchmark.stats.contests import Contest, select
from benchmark.stats.correction import corrected
from benchmark.stats.rows import clusters


def standings(matches: Champions) -> pd.DataFrame:
    """One row per match and unit: its score with an interval, the label that stands for it, and its status: "ok", or
    "incomplete" if it lacks scores of the contest."""
    records = [
        (
            *match.columns,
            *(unit, best.method, best.n_entrants, "ok" if best.whole else "incomplete"),
            *(intervals.mean(values), *intervals.bootstrap(values, clusters(best.scores))),
        )
        for match, units in matches.items()
        for unit, best in units.items()
        for values in [best.scores.to_numpy()]
    ]
    return pd.DataFrame(records, columns=[*MATCH, "unit", "method", "n_entrants", "status", "value", "low", "high"])


def winners(matches: Champions) -> pd.DataFrame:
    """One row per match of two units or more: the first, the second, and whether the first wins.

    `difference` and its interval are those of the first and the second. The first is the best of the units that have
    every score of the contest. It wins if it beats every other unit: `p` is the largest of its tests. An incomplete
    unit cannot win, but it is one of those to beat, over the scores that both have.
    """
    records = []
    for match, units in matches.items():
        if len(units) < 2:
            continue
        sign = -1 if match.contest.lower_is_better else 1
        means = {unit: sign * intervals.mean(best.scores.to_numpy()) for unit, best in units.items()}
        order = sorted(units, key=lambda unit: (not units[unit].whole, -means[unit]))
        first, *others = (units[unit].scores for unit in order)
        tests = [paired(first, other, match.contest) for other in others]
        p = max(test.p if test.difference > 0 else 1.0 for test in tests)
        least = max(test.least for test in tests)
        unclear = "no clear winner" if units[order[0]].whole else "no unit has every score"
        test = tests[0]._replace(p=p if units[order[0]].whole else 1.0, least=least)
        records.append((*match.columns, *order[:2], *test, f"{order[0]} wins", unclear))
    table = pd.DataFrame(records, columns=[*MATCH, "first", "second", *PAIRED, "clear", "unclear"])
    return corrected(table)[0]


def iso_flop(rows: pd.DataFrame, standing: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The standings of one contest at each trunk size, with the column `parameters`, of the label behind them."""
    fixed = select(standing, contest)
    fixed = fixed[fixed["size"] != BEST]
    sized = fixed.assign(parameters=fixed["method"].map(parameters(rows)).astype(float)).dropna(subset="parameters")
    return sized.sort_values(["unit", "budget", "parameters"], ignore_index=True)
