"""Does a trained unit beat its untrained trunk, PCA, or another unit? Paired over the same donors and seeds."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.options import crowds, levels
from benchmark.stats.rows import ENTRANT, cells, rivals, scores

ALPHA = 0.05
UNTRAINED, PCA, OTHER = "trained against untrained", "trained against PCA", "one method against another"
PAIRED = ["difference", "low", "high", "n_donors", "p"]
COLUMNS = ["question", "a", "b", "budget_axis", "budget", *PAIRED, "p_holm", "verdict"]


def compare(rows: pd.DataFrame, contest: Contest = PRIMARY) -> pd.DataFrame:
    """Each method at its largest budget, against what it must beat; a positive difference favours `a`.

    Signs are flipped over donors, not over cells: seeds of one donor are no independent tissue. Holm's correction
    covers the comparisons of one question. Entrants of one large grid of settings are not compared with one another:
    `benchmark.stats.ablation` says what each setting changes.
    """
    table = cells(select(scores(rivals(rows)), contest))
    by_entrant = {
        key: block.droplevel([*Contest._fields, "dataset", *ENTRANT]) for key, block in table.groupby(ENTRANT)
    }
    crowd = {label: number for number, family in enumerate(crowds(rows)) for label in family.levels.index}
    records = [
        (question, a[0], b[0], *a[2:], *paired(by_entrant[a], by_entrant[b], contest))
        for question, a, b in _pairs(list(by_entrant))
        if question != OTHER or a[0] not in crowd or crowd[a[0]] != crowd.get(b[0])
    ]
    return corrected(pd.DataFrame(records, columns=COLUMNS[:-2]), "question")


def corrected(found: pd.DataFrame, *family: str) -> pd.DataFrame:
    """`found` with `p_holm` and `verdict`: difference, n_donors and p of paired tests, corrected by Holm within each
    family (rows that agree in those columns; none: all rows are one)."""
    p = found.groupby(list(family) or np.zeros(len(found)))["p"]
    found = found.assign(p_holm=p.transform(lambda p: intervals.holm(p.to_numpy())))
    least = p.transform("size") * 2.0 ** (1 - found["n_donors"])
    return found.assign(verdict=list(map(_verdict, found["difference"], found["p_holm"], least)))


def _pairs(entrants: list[tuple]) -> list[tuple[str, tuple, tuple]]:
    """(question, a, b) of entrants (method, unit, budget axis, budget)."""
    largest = {(method, unit, axis): budget for method, unit, axis, budget in sorted(entrants) if unit != "none"}
    trained = [(*who, budget) for who, budget in largest.items() if budget > 0]
    untrained = {who[:3]: who for who in entrants if who[1] != "none" and who[3] == 0}
    pca = [who for who in entrants if who[0] == "pca"]
    return [
        *((UNTRAINED, who, untrained[who[:3]]) for who in trained if who[:3] in untrained),
        *((PCA, who, other) for who in trained for other in pca),
        *((OTHER, a, b) for a, b in combinations(trained, 2) if a[2:] == b[2:]),
    ]


def paired(a: pd.DataFrame, b: pd.DataFrame, contest: Contest) -> tuple[float, float, float, int, float]:
    """The columns `PAIRED` over the (donor, seed) that both have."""
    difference = (b - a if contest.lower_is_better else a - b).dropna(how="all")
    if difference.empty:
        return np.nan, np.nan, np.nan, 0, 1.0
    values = difference.to_numpy()
    return (
        intervals.mean(values),
        *intervals.bootstrap(values),
        len(values),
        intervals.sign_flip(np.nanmean(values, axis=1)),
    )


def _verdict(difference: float, p: float, least: float) -> str:
    """`least`: the smallest corrected p that so few donors could have given."""
    if p < ALPHA:
        return "better" if difference > 0 else "worse"
    return "too few donors to tell" if least >= ALPHA else "no clear difference"


class Spread(NamedTuple):
    """How far the best of several levels is from the worst, over the (donor, seed) that all have."""

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
        return self.p < ALPHA

    @property
    def verdict(self) -> str:
        if self.clear:
            return "a clear difference"
        least = math.factorial(self.n_levels) ** (1.0 - self.n_donors) if self.n_donors else 1.0
        return "too few donors to tell" if least >= ALPHA else "no clear difference"


def by_level(rows: pd.DataFrame, plugin: str, option: str, contest: Contest) -> tuple[float, dict[str, pd.DataFrame]]:
    """The largest budget of a plugin, and there the scores of each level of an option: a row a donor, a column a seed.

    Each is a mean over the settings of all other options that every level was scored with, so that levels differ in
    nothing else.
    """
    known = levels(rows, option)
    known = known[known["plugin"] == plugin]
    its = rows[rows["method"].isin(known.index)]
    budget = float(its["budget"].max())
    table = cells(select(scores(its[its["budget"] == budget]), contest)).reset_index(["method", "block"])
    table = table.join(known[["level", "rest"]], on="method")
    complete = table.groupby("rest")["level"].nunique() == table["level"].nunique()
    table = table[table["rest"].map(complete).eq(True)].drop(columns=["method", "rest"])
    return budget, {level: part.groupby("block").mean() for level, part in table.set_index("level").groupby("level")}


def spread(tables: dict[str, pd.DataFrame], contest: Contest) -> Spread | None:
    """The best against the worst of some levels, None if no donor has all of them or there is one level.

    The ends are picked on the scores that they are compared by, so the interval leans away from 0; `p` does not: it
    is that of the distance itself, see `intervals.spread_test`.

    Args:
        tables: for each level, one with a row a donor and a column a seed.
    """
    names = list(tables)
    if len(names) < 2:
        return None
    values = pd.concat(tables.values(), keys=names, names=["level", "block"]).stack().unstack("level")
    values = values.reindex(columns=names).dropna()
    if values.empty:
        return None
    by_donor = values.groupby("block").mean()[names]
    best, *_, worst = by_donor.mean().sort_values(ascending=contest.lower_is_better, kind="stable").index
    difference, low, high, n_donors, _ = paired(values[best].unstack(), values[worst].unstack(), contest)
    p = intervals.spread_test(by_donor.to_numpy().T)
    return Spread(best, worst, len(names), difference, low, high, n_donors, p)
