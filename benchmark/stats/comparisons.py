"""Does a trained unit beat its untrained trunk, PCA, or another unit? Paired over the same donors and seeds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.options import crowds
from benchmark.stats.rows import ENTRANT, Entrant, rivals, score_matrix, scores

ALPHA = 0.05
UNTRAINED, PCA, OTHER = "trained against untrained", "trained against PCA", "one method against another"
CLEAR, TOO_FEW, UNCLEAR = "a clear difference", "too few donors to tell", "no clear difference"
PAIRED = ["difference", "low", "high", "n_donors", "p"]
COLUMNS = ["question", "a", "b", "budget_axis", "budget", *PAIRED, "p_holm", "verdict"]


def compare(rows: pd.DataFrame, contest: Contest = PRIMARY) -> pd.DataFrame:
    """Each method at its largest budget, against what it must beat. A positive difference favours `a`.

    The test flips signs over donors: the seeds of one donor are not independent tissue. Holm's correction covers the
    comparisons of one question. Entrants of one large grid of settings are not compared with one another:
    `benchmark.stats.ablation` says what each setting changes.
    """
    table = score_matrix(select(scores(rivals(rows)), contest))
    by_entrant = {
        Entrant._make(key): matrix.droplevel([*Contest._fields, "dataset", *ENTRANT])
        for key, matrix in table.groupby(ENTRANT)
    }
    crowd = {label: number for number, family in enumerate(crowds(rows)) for label in family.levels.index}
    records = [
        (question, a.method, b.method, a.budget_axis, a.budget, *paired(by_entrant[a], by_entrant[b], contest))
        for question, a, b in _pairs(list(by_entrant))
        if question != OTHER or a.method not in crowd or crowd[a.method] != crowd.get(b.method)
    ]
    return corrected(pd.DataFrame(records, columns=COLUMNS[:-2]), "question")


def corrected(table: pd.DataFrame, *family: str) -> pd.DataFrame:
    """A table of paired tests with two more columns, `p_holm` and `verdict`.

    Args:
        table: one test per row, with the columns `PAIRED`.
        family: Holm's correction covers the rows that agree in these columns; none: all rows.
    """
    p = table.groupby(list(family) or np.zeros(len(table)))["p"]
    table = table.assign(p_holm=p.transform(lambda p: intervals.holm(p.to_numpy())))
    least = p.transform("size") * 2.0 ** (1 - table["n_donors"])
    return table.assign(verdict=list(map(_verdict, table["difference"], table["p_holm"], least)))


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


def paired(a: pd.DataFrame, b: pd.DataFrame, contest: Contest) -> tuple[float, float, float, int, float]:
    """The columns `PAIRED` over the (donor, seed) that both have. A positive difference favours `a`.

    Args:
        a: scores, one row per donor, one column per seed.
        b: the same of what it is compared with.
    """
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
    return TOO_FEW if least >= ALPHA else UNCLEAR
