"""Pretraining unit × context at inference × smoothing × training: what is learned, and what is only smoothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.comparisons import PAIRED, corrected, paired
from benchmark.stats.contests import PRIMARY, Contest
from benchmark.stats.options import entries, rest, varied
from benchmark.stats.rows import score_matrix, scores

OPTION = "embed"  # how much of a slide a model sees while it embeds one spot
OWN_CONTEXT = {"spot": "self", "patch": "overlap", "slide": "slide"}  # where the entry leaves it to the method
ORDER = ["learned", "context", "smoothing", "spot", "patch", "slide"]
FACTORS = ["unit", "context", "training", "neighbours"]


class Factorial(NamedTuple):
    """The factors crossed.

    Attributes:
        combinations: one row per unit, context, training ("untrained", or "trained" with the largest budget) and
            smoothing, with the mean over donors and its interval.
        effects: one row per effect and combination, paired by donor, seed and all other options of the labels, with a
            sign-flip test over donors, corrected by Holm within the effect. "learned" is trained less untrained,
            "context" is less the context self, "smoothing" is the neighbour mean less none.
        mean_effects: one row per effect and unit, the mean over all its combinations. They are few, so fewer donors
            are enough to tell them.
    """

    combinations: pd.DataFrame
    effects: pd.DataFrame
    mean_effects: pd.DataFrame


def factorial(rows: pd.DataFrame, contest: Contest = PRIMARY) -> Factorial | None:
    """The factors crossed, or None if no family varies its context at inference.

    Args:
        contest: gives the task, setting and metric; every smoothing that was measured is a level.
    """
    if not varied(rows, OPTION):
        return None
    table = _table(rows, contest)
    combinations = {key: part.droplevel([*FACTORS]) for key, part in table.groupby(FACTORS)}
    matrices = {key: part.groupby("block").mean().to_numpy() for key, part in combinations.items()}
    summary = pd.DataFrame(
        [(*key, intervals.mean(values), *intervals.bootstrap(values)) for key, values in matrices.items()],
        columns=[*FACTORS, "value", "low", "high"],
    )
    gains = _gains(combinations)
    means = {
        key: pd.concat([gain for name, gain in gains.items() if name[:2] == key]).groupby("block").mean()
        for key in dict.fromkeys(name[:2] for name in gains)
    }
    effects = _tests(gains, ["effect", *FACTORS], contest)
    return Factorial(summary, effects, _tests(means, ["effect", "unit"], contest))


def _table(rows: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """One row per (unit, context, training, neighbours, rest, block), one column per seed."""
    keys = ["split", "task", "setting", "metric"]
    wanted = (rows[keys] == [getattr(contest, key) for key in keys]).all(axis=1) & (rows["unit"] != "none")
    measured = scores(rows[wanted])
    largest = measured["budget"] == measured.groupby("unit")["budget"].transform("max")
    table = score_matrix(measured[largest | (measured["budget"] == 0)])
    seeds, table, options = list(table.columns), table.reset_index(), entries(rows)
    default = table["unit"].map(OWN_CONTEXT)
    table["context"] = table["method"].map({label: entry.get(OPTION) for label, entry in options.items()})
    table["context"] = table["context"].fillna(default)
    table["rest"] = table["method"].map({label: rest(entry, OPTION) for label, entry in options.items()})
    table["training"] = np.where(table["budget"] > 0, "trained", "untrained")
    return table.groupby([*FACTORS, "rest", "block"])[seeds].mean()


def _gains(combinations: dict[tuple, pd.DataFrame]) -> dict[tuple, pd.DataFrame]:
    """(effect, unit, context, training, neighbours) → the gain by it, one row per donor, one column per seed."""
    gains = {}
    for key, table in combinations.items():
        unit, context, training, neighbours = key
        for effect, against in (
            ("learned", (unit, context, "untrained", neighbours)),
            ("context", (unit, "self", training, neighbours)),
            ("smoothing", (unit, context, training, 0)),
        ):
            if against in combinations and against != key:
                gains[effect, *key] = (table - combinations[against]).groupby("block").mean()
    return gains


def _tests(gains: dict[tuple[Any, ...], pd.DataFrame], key: list[str], contest: Contest) -> pd.DataFrame:
    """One row per gain, with its test; `key` names the parts of the keys."""
    records = [(*name, *paired(gain, gain * 0, contest)) for name, gain in gains.items()]
    table = corrected(pd.DataFrame(records, columns=[*key, *PAIRED]), "effect")
    return table.sort_values(
        ["effect", "unit"], key=lambda names: names.map(ORDER.index), kind="stable", ignore_index=True
    )
