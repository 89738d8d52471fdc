"""All that a page tests, corrected together."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.stats import ablation
from benchmark.stats.champions import BEST, Champions, Match, champions
from benchmark.stats.comparisons import compare
from benchmark.stats.contests import Contest
from benchmark.stats.correction import corrected
from benchmark.stats.factorial import Factorial, factorial
from benchmark.stats.grids import Grid
from benchmark.stats.learned import learned, that_learned
from benchmark.stats.options import varied
from benchmark.stats.smoothing import beyond_smoothing
from benchmark.stats.spread import Spread, by_level, spread
from benchmark.stats.winners import winners

RULES = "channels"  # the option that says how a patch's genes are chosen
UNITS = "units"


@dataclass(frozen=True)
class Evidence:
    """The tests of a page. Their `p_holm` and `verdict` are corrected over all `n_tests` of them.

    Attributes:
        learned: see `learned.learned`. It is no test of these: it says who takes part.
        matches: the champions of the units, of the methods that have learned something or do not tell.
        compared, won, beyond, effects: see `compare`, `winners`, `beyond_smoothing`, `ablation.effects`.
        ends: one row, by `UNITS` or `RULES`, for each of them that was tried in two levels or more: the best against
            the worst, the columns of `Spread`, `budget_axis` and `budget`.
        crossed: None if no method varies its context at inference.
    """

    learned: pd.DataFrame
    matches: Champions
    compared: pd.DataFrame
    won: pd.DataFrame
    beyond: pd.DataFrame
    effects: pd.DataFrame
    ends: pd.DataFrame
    crossed: Factorial | None
    n_tests: int


def evidence(rows: pd.DataFrame, contest: Contest, grids: list[Grid]) -> Evidence:
    """Test all that the page of these rows tests.

    Args:
        contest: what units, budgets, methods and channel rules are compared by.
        grids: `grids(rows)`, whose main effects are tested.
    """
    told = learned(rows)
    matches, crossed = champions(that_learned(rows, told)), factorial(rows)
    tables = [
        compare(rows, contest),
        winners(matches),
        beyond_smoothing(rows, matches),
        ablation.effects(grids),
        _ends(rows, matches, contest),
        *([crossed.effects, crossed.mean_effects] if crossed else []),
    ]
    compared, won, beyond, effects, ends, *of_factors = corrected(*tables)
    if crossed:
        crossed = crossed._replace(effects=of_factors[0], mean_effects=of_factors[1])
    n_tests = int(sum(table["p"].notna().sum() for table in tables))
    return Evidence(told, matches, compared, won, beyond, effects, ends, crossed, n_tests)


def shared(matches: Champions, contest: Contest) -> list[Match]:
    """Where two units or more meet in a contest, each with its best size; the smallest budget first."""
    met = [match for match, units in matches.items() if len(units) > 1]
    return sorted((m for m in met if m.contest == contest and m.size == BEST), key=lambda match: match.budget)


def _ends(rows: pd.DataFrame, matches: Champions, contest: Contest) -> pd.DataFrame:
    """The best against the worst: of the units at the largest budget that two have reached, and of the channel rules in
    the plugin that tries the most."""
    records: dict[str, tuple] = {}
    if met := shared(matches, contest):
        match = met[-1]
        ends = spread({unit: best.scores for unit, best in matches[match].items()}, contest)
        records |= {UNITS: (*ends, match.budget_axis, match.budget)} if ends else {}
    if tried := varied(rows, RULES):
        budget, tables = by_level(rows, max(tried, key=lambda plugin: tried[plugin]), RULES, contest)
        ends = spread(tables, contest)
        records |= {RULES: (*ends, rows["budget_axis"].iloc[0], budget)} if ends else {}
    return pd.DataFrame.from_dict(records, orient="index", columns=[*Spread._fields, "budget_axis", "budget"])
