"""Does a trained unit beat its untrained trunk, PCA, or another unit? Paired over the same donors and seeds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from benchmark import intervals
from benchmark.grid import crowds
from benchmark.leaderboard import ENTRANT, LOWER_IS_BETTER, PRIMARY, Contest, cells, scores, select

ALPHA = 0.05
UNTRAINED, PCA, OTHER = "trained against untrained", "trained against PCA", "one method against another"
COLUMNS = [
    "question",
    "a",
    "b",
    "budget_axis",
    "budget",
    "difference",
    "low",
    "high",
    "n_donors",
    "p",
    "p_holm",
    "verdict",
]


def compare(rows: pd.DataFrame, contest: Contest = PRIMARY) -> pd.DataFrame:
    """Each method at its largest budget, against what it must beat; a positive difference favours `a`.

    Signs are flipped over donors, not over cells: seeds of one donor are no independent tissue. Holm's correction
    covers the comparisons of one question. Entrants of one large grid of settings are not compared with one another:
    `benchmark.ablation` says what each setting changes.
    """
    table = cells(select(scores(rows), contest))
    by_entrant = {
        key: block.droplevel([*Contest._fields, "dataset", *ENTRANT]) for key, block in table.groupby(ENTRANT)
    }
    crowd = crowds(rows)
    records = [
        (question, a[0], b[0], *a[2:], *_paired(by_entrant[a], by_entrant[b], contest))
        for question, a, b in _pairs(list(by_entrant))
        if question != OTHER or a[0] not in crowd or crowd[a[0]] != crowd.get(b[0])
    ]
    found = pd.DataFrame(records, columns=COLUMNS[:-2])
    found["p_holm"] = found.groupby("question")["p"].transform(lambda p: intervals.holm(p.to_numpy()))
    tests = found.groupby("question")["p"].transform("size")
    least = tests * 2.0 ** (1 - found["n_donors"])
    found["verdict"] = list(map(_verdict, found["difference"], found["p_holm"], least))
    return found


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


def _paired(a: pd.DataFrame, b: pd.DataFrame, contest: Contest) -> tuple[float, float, float, int, float]:
    """difference, low, high, n_donors, p over the (donor, seed) that both have."""
    difference = (b - a if contest.metric in LOWER_IS_BETTER else a - b).dropna(how="all")
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
