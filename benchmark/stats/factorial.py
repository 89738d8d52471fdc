"""Pretraining unit × context at inference × smoothing × training: what is learned, and what is only smoothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.comparisons import PAIRED, corrected, paired
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.options import entries, rest, varied
from benchmark.stats.rows import cells, scores
from benchmark.stats.winners import BEST, Champion, at_labels, by_label

OPTION = "embed"  # how much of a slide a model sees while it embeds one spot
OWN_CONTEXT = {"spot": "self", "patch": "overlap", "slide": "slide"}  # where the entry leaves it to the method
ORDER = ["learned", "context", "smoothing", "spot", "patch", "slide"]
SMOOTHED = 8  # neighbours of the plain smoothing that learned context must beat
FACTORS = ["unit", "context", "training", "neighbours"]


def factorial(rows: pd.DataFrame, contest: Contest = PRIMARY) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    """Cells, effects and mean effects, or None if no family varies its context at inference.

    Cells: a row a unit, context, training ("untrained" or the largest budget's "trained") and smoothing, with the
    mean over donors and an interval. Effects: a row an effect and place, paired by donor, seed and whatever else the
    labels differ in, with a sign-flip test over donors that is corrected by Holm within the effect: "learned" is
    trained less untrained, "context" less self, "smoothing" the neighbour mean less none. `contest` gives the task,
    setting and metric; every smoothing that was measured is a level. Mean effects: a row an effect and unit, over all
    its places; being few, they can be told with fewer donors.
    """
    if not varied(rows, OPTION):
        return None
    table = _table(rows, contest)
    places = {key: its.droplevel(FACTORS) for key, its in table.groupby(FACTORS)}
    summary = {key: its.groupby("block").mean().to_numpy() for key, its in places.items()}
    found = pd.DataFrame(
        [(*key, intervals.mean(values), *intervals.bootstrap(values)) for key, values in summary.items()],
        columns=[*FACTORS, "value", "low", "high"],
    )
    return found, *_effects(places, contest)


def _table(rows: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """A row a (unit, context, training, neighbours, rest, block), a column a seed."""
    keys = ["split", "task", "setting", "metric"]
    wanted = (rows[keys] == [getattr(contest, key) for key in keys]).all(axis=1) & (rows["unit"] != "none")
    measured = scores(rows[wanted])
    largest = measured["budget"] == measured.groupby("unit")["budget"].transform("max")
    table = cells(measured[largest | (measured["budget"] == 0)])
    seeds, table, options = list(table.columns), table.reset_index(), entries(rows)
    own = table["unit"].map(OWN_CONTEXT)
    table["context"] = table["method"].map({label: its.get(OPTION) for label, its in options.items()}).fillna(own)
    table["rest"] = table["method"].map({label: rest(its, OPTION) for label, its in options.items()})
    table["training"] = np.where(table["budget"] > 0, "trained", "untrained")
    return table.groupby([*FACTORS, "rest", "block"])[seeds].mean()


def _effects(places: dict[tuple, pd.DataFrame], contest: Contest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each effect in each place, and its mean over the places of a unit."""
    gains = {}
    for (unit, context, training, neighbours), its in places.items():
        for effect, against in (
            ("learned", (unit, context, "untrained", neighbours)),
            ("context", (unit, "self", training, neighbours)),
            ("smoothing", (unit, context, training, 0)),
        ):
            if against in places and against != (unit, context, training, neighbours):
                gain = (its - places[against]).groupby("block").mean()
                gains[(effect, unit, context, training, neighbours)] = gain
    means = {
        key: pd.concat([gain for place, gain in gains.items() if place[:2] == key]).groupby("block").mean()
        for key in dict.fromkeys(place[:2] for place in gains)
    }
    each, mean = (
        corrected(
            pd.DataFrame([(*key, *paired(gain, gain * 0, contest)) for key, gain in found.items()], columns=columns),
            "effect",
        ).sort_values(["effect", "unit"], key=lambda names: names.map(ORDER.index), kind="stable", ignore_index=True)
        for found, columns in ((gains, ["effect", *FACTORS, *PAIRED]), (means, ["effect", "unit", *PAIRED]))
    )
    return each, mean


def beyond_smoothing(rows: pd.DataFrame, found: dict[tuple, dict[str, Champion]]) -> pd.DataFrame:
    """One row a unit that pools spots (patch, slide) at the largest budget of the primary contest: has it learned
    more than smoothing does?

    Its rivals only smooth: the same trunk untrained, which pools the same spots, and what a spot says by itself (PCA,
    the trained spot unit) after the mean over 8 neighbours. `rival` is the hardest to beat, with the difference to it.
    A unit must beat all its rivals, so `p` is the largest of its tests; Holm's correction covers the units. No row
    without an untrained trunk and one smoothed rival.

    Args:
        found: `champions(rows)`.
    """
    places = [at for at in found if at[: len(PRIMARY) + 1] == (*PRIMARY, BEST)]
    at = max(places, key=lambda at: at[-1], default=None)
    records = []
    if at is not None:
        controls = scores(rows[rows["budget"] == 0])
        untrained = by_label(cells(select(controls, PRIMARY)))
        smoothed = _smoothed(controls, found, at)
        for unit, its in found[at].items():
            own = at_labels(untrained, its.picked).dropna(how="all")
            if unit != "spot" and len(own) and smoothed:
                rivals = {"its untrained trunk": own} | smoothed
                tests = {name: paired(its.cells, rival, PRIMARY) for name, rival in rivals.items()}
                hardest = min(tests, key=lambda name: tests[name][0])
                p = max(p if difference > 0 else 1.0 for difference, *_, p in tests.values())
                n_donors = min(n for *_, n, _ in tests.values())
                records.append((at[-2], at[-1], unit, ", ".join(rivals), hardest, *tests[hardest][:3], n_donors, p))
    columns = ["budget_axis", "budget", "unit", "rivals", "rival", *PAIRED]
    return corrected(pd.DataFrame(records, columns=columns))


def _smoothed(controls: pd.DataFrame, found: dict[tuple, dict[str, Champion]], at: tuple) -> dict[str, pd.DataFrame]:
    """PCA and the trained spot unit after the neighbour mean, as far as they were measured."""
    contest = PRIMARY._replace(neighbours=SMOOTHED)
    rivals = {}
    pca = cells(select(controls[controls["method"] == "pca"], contest))
    if len(pca):
        rivals[f"PCA after a mean over {SMOOTHED} neighbours"] = by_label(pca).droplevel("method")
    spot = found.get((*contest, *at[len(contest) :]), {}).get("spot")
    if spot:
        rivals[f"the spot unit after a mean over {SMOOTHED} neighbours"] = spot.cells
    return rivals
