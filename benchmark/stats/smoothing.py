"""Has a unit that pools spots learned more than smoothing does? It must beat all that only smooths."""

from __future__ import annotations

import pandas as pd

from benchmark.stats.champions import BEST, Champions, Match, at_labels
from benchmark.stats.comparisons import PAIRED, corrected, paired
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.rows import by_label, score_matrix, scores

SMOOTHED = 8  # neighbours of the plain smoothing that learned context must beat
COLUMNS = ["budget_axis", "budget", "unit", "rivals", "rival", *PAIRED]


def beyond_smoothing(rows: pd.DataFrame, matches: Champions) -> pd.DataFrame:
    """One row per unit that pools spots (patch, slide), at the largest budget of the primary contest.

    Its rivals only smooth. One is the same trunk untrained, which pools the same spots. The others see one spot at a
    time, and are averaged over 8 neighbours afterwards: PCA and the trained spot unit. `rival` is the hardest to beat,
    `difference` the difference to it. A unit must beat all its rivals, so `p` is the largest of its tests. Holm's
    correction covers the units. A unit has no row without an untrained trunk and one smoothed rival.

    Args:
        matches: `champions(rows)`.
    """
    primary = [match for match in matches if match.contest == PRIMARY and match.size == BEST]
    largest = max(primary, key=lambda match: match.budget, default=None)
    records = []
    if largest is not None:
        controls = scores(rows[rows["budget"] == 0])
        untrained = by_label(score_matrix(select(controls, PRIMARY)))
        smoothed = _smoothed(controls, matches, largest)
        for unit, best in matches[largest].items():
            trunk = at_labels(untrained, best.picked).dropna(how="all")
            if unit != "spot" and len(trunk) and smoothed:
                rivals = {"its untrained trunk": trunk} | smoothed
                tests = {name: paired(best.scores, rival, PRIMARY) for name, rival in rivals.items()}
                hardest = min(tests, key=lambda name: tests[name][0])
                p = max(p if difference > 0 else 1.0 for difference, *_, p in tests.values())
                n_donors = min(n for *_, n, _ in tests.values())
                records.append((*largest[2:], unit, ", ".join(rivals), hardest, *tests[hardest][:3], n_donors, p))
    return corrected(pd.DataFrame(records, columns=COLUMNS))


def _smoothed(controls: pd.DataFrame, matches: Champions, match: Match) -> dict[str, pd.DataFrame]:
    """PCA and the trained spot unit after the neighbour mean, as far as they were measured."""
    contest = PRIMARY._replace(neighbours=SMOOTHED)
    rivals = {}
    pca = score_matrix(select(controls[controls["method"] == "pca"], contest))
    if len(pca):
        rivals[f"PCA after a mean over {SMOOTHED} neighbours"] = by_label(pca).droplevel("method")
    spot = matches.get(match._replace(contest=contest), {}).get("spot")
    if spot:
        rivals[f"the spot unit after a mean over {SMOOTHED} neighbours"] = spot.scores
    return rivals
