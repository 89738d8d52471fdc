"""Does a trained unit beat its untrained trunk, PCA, or another unit? Paired over the same donors and seeds."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.correction import corrected
from benchmark.stats.options import crowds
from benchmark.stats.rows import ENTRANT, Entrant, by_label, clusters, comparable, rivals, scores

UNTRAINED, PCA, OTHER = "trained against untrained", "trained against PCA", "one method against another"


class Paired(NamedTuple):
    """A paired test.

    Attributes:
        difference: mean over donors; it favours the first if it is positive. low, high: its 95% interval.
        n_donors: that both have.
        n_pairs: the (donor, seed) that both have in full; `n_possible`: those that one of them has.
        p: two-sided, by flipping signs over folds; `least`: the smallest p that so many folds could have given.
    """

    difference: float
    low: float
    high: float
    n_donors: int
    n_pairs: int
    n_possible: int
    p: float
    least: float


PAIRED = list(Paired._fields)
COLUMNS = ["question", "a", "b", "budget_axis", "budget", *PAIRED]


def compare(rows: pd.DataFrame, contest: Contest = PRIMARY) -> pd.DataFrame:
    """Each method at its largest budget, against what it must beat. A positive difference favours `a`.

    The test flips signs over folds (donors, where each is held out by itself): neither the seeds of one donor nor the
    donors that one model was tested on are independent. Entrants of one large grid of settings are not compared with
    one another: `benchmark.stats.ablation` says what each setting changes. `p_holm` is corrected over this table; a
    page corrects it over all that it tests.
    """
    table = comparable(rivals(scores(select(rows, contest))))
    by_entrant = {Entrant._make(key): by_label(matrix).droplevel("method") for key, matrix in table.groupby(ENTRANT)}
    crowd = {label: number for number, family in enumerate(crowds(rows)) for label in family.levels.index}
    records = [
        (question, a.method, b.method, a.budget_axis, a.budget, *paired(by_entrant[a], by_entrant[b], contest))
        for question, a, b in _pairs(list(by_entrant))
        if question != OTHER or a.method not in crowd or crowd[a.method] != crowd.get(b.method)
    ]
    tests = pd.DataFrame(records, columns=COLUMNS)
    return corrected(tests.assign(clear=np.where(tests["difference"] > 0, "better", "worse")))[0]


def _pairs(entrants: list[Entrant]) -> list[tuple[str, Entrant, Entrant]]:
    """(question, a, b) of all comparisons."""
    largest = {entrant[:3]: entrant for entrant in sorted(entrants) if entrant.unit != "none"}
    trained = [entrant for entrant in largest.values() if entrant.budget > 0]
    untrained = {entrant[:3]: entrant for entrant in entrants if entrant.unit != "none" and entrant.budget == 0}
    pca = [entrant for entrant in entrants if entrant.method == "pca"]
    return [
        *((UNTRAINED, entrant, untrained[entrant[:3]]) for entrant in trained if entrant[:3] in untrained),
        *((PCA, entrant, control) for entrant in trained for control in pca),
        *((OTHER, a, b) for a, b in combinations(trained, 2) if a[2:] == b[2:]),
    ]


def paired(a: pd.DataFrame, b: pd.DataFrame, contest: Contest) -> Paired:
    """The test over the (donor, seed) that both have.

    Args:
        a: scores, one row per (cluster, block), one column per seed.
        b: the same of what it is compared with.
    """
    difference = (b - a if contest.lower_is_better else a - b).dropna(how="all")
    n_possible = int((a.notna().astype(int).add(b.notna().astype(int), fill_value=0) > 0).to_numpy().sum())
    if difference.empty:
        return Paired(np.nan, np.nan, np.nan, 0, 0, n_possible, 1.0, 1.0)
    values, folds = difference.to_numpy(), clusters(difference)
    by_fold = intervals.summed(np.nanmean(values, axis=1), folds)
    return Paired(
        intervals.mean(values),
        *intervals.bootstrap(values, folds),
        len(values),
        int((~np.isnan(values)).sum()),
        n_possible,
        intervals.sign_flip(by_fold),
        2.0 ** (1 - len(by_fold)),
    )
