"""Has a unit that pools spots learned more than smoothing does? It must beat all that only smooths."""

from __future__ import annotations

import pandas as pd

from benchmark.stats.champions import BEST, Champions, Match, at_labels
from benchmark.stats.comparisons import PAIRED, paired
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.correction import corrected
from benchmark.stats.rows import by_label, comparable, scores

SMOOTHED = 8  # neighbours of the plain smoothing that learned context must beat
COLUMNS = ["budget_axis", "budget", "unit", "rivals", "rival", *PAIRED]


def beyond_smoothing(rows: pd.DataFrame, matches: Champions) -> pd.DataFrame:
    """One row per unit that pools spots (patch, slide), at the largest budget of the primary contest.

    Its rivals only smooth. One is the same trunk untrained, which pools the same spots. The others see one spot at a
    time, and are averaged over 8 neighbours afterwards: PCA and the trained spot unit. `rival` is the hardest to beat,
    `difference` the difference to it. A unit must beat all its rivals, so `p` is the largest of its tests. A unit has
    no row without an untrained trunk and one smoothed rival.

    Args:
        matches: `champions(rows)`.
    """
    primary = [match for match in matches if match.contest == PRIMARY and match.size == BEST]
    largest = max(primary, key=lambda match: match.budget, default=None)
    records = []
    if largest is not None:
        controls = by_label(comparable(_controls(rows, PRIMARY)))
        smoothed = _smoothed(rows, matches, largest)
        for unit, best in matches[largest].items():
            trunk = at_labels(controls, best.picked).dropna(how="all")
            if unit != "spot" and len(trunk) and smoothed:
                rivals = {"its untrained trunk": trunk} | smoothed
                tests = {name: paired(best.scores, rival, PRIMARY) for name, rival in rivals.items()}
                hardest = min(tests, key=lambda name: tests[name].difference)
                test = tests[hardest]._replace(
                    p=max(test.p if test.difference > 0 else 1.0 for test in tests.values()),
                    least=max(test.least for test in tests.values()),
                    n_donors=min(test.n_donors for test in tests.values()),
                )
                records.append((*largest[2:], unit, ", ".join(rivals), hardest, *test))
    table = pd.DataFrame(records, columns=COLUMNS)
    return corrected(table.assign(clear="better"))[0]


def _controls(rows: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The scores of what did not train."""
    measured = scores(select(rows, contest))
    return measured[measured["budget"] == 0]


def _smoothed(rows: pd.DataFrame, matches: Champions, match: Match) -> dict[str, pd.DataFrame]:
    """PCA and the trained spot unit after the neighbour mean, as far as they were measured."""
    contest = PRIMARY._replace(neighbours=SMOOTHED)
    rivals = {}
    controls = _controls(rows, contest)
    pca = comparable(controls[controls["method"] == "pca"])
    if len(pca):
        rivals[f"PCA after a mean over {SMOOTHED} neighbours"] = by_label(pca).droplevel("method")
    spot = matches.get(match._replace(contest=contest), {}).get("spot")
    if spot:
        rivals[f"the spot unit after a mean over {SMOOTHED} neighbours"] = spot.scores
    return rivals
