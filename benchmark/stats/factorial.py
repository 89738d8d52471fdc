"""Pretraining unit × context at inference × smoothing × training: what is learned, and what is only smoothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.comparisons import PAIRED, paired
from benchmark.stats.contests import PRIMARY, Contest
from benchmark.stats.correction import corrected
from benchmark.stats.options import entries, rest, varied
from benchmark.stats.rows import BLOCK, cells, clusters, comparable, scores

OPTION = "embed"  # how much of a slide a model sees while it embeds one spot
OWN_CONTEXT = {"spot": "self", "patch": "overlap", "slide": "slide"}  # where the entry leaves it to the method
ORDER = ["learned", "context", "smoothing", "spot", "patch", "slide"]
FACTORS = ["unit", "context", "training", "neighbours"]


class Factorial(NamedTuple):
    """The factors crossed.

    Attributes:
        combinations: one row per unit, context, training ("untrained", or "trained" with the largest budget) and
            smoothing, with the mean over donors and its interval, and whether it is `whole`: a mean over every (donor,
            seed), or else not to be compared with the others.
        effects: one row per effect and combination, paired by donor, seed and all other options of the labels, with a
            sign-flip test over folds, corrected by Holm over the table. "learned" is trained less untrained, "context"
            is less the context self, "smoothing" is the neighbour mean less none.
        mean_effects: one row per effect and unit, the mean over all its combinations, of the (donor, seed) that all of
            them have. They are few, so fewer donors are enough to tell them.
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
    every = table.groupby(BLOCK).size().index
    summary = pd.DataFrame(
        [(*key, *_summary(part, every)) for key, part in combinations.items()],
        columns=[*FACTORS, "value", "low", "high", "whole"],
    )
    gains = _gains(combinations)
    means = {
        key: _mean([gain for name, gain in gains.items() if name[:2] == key])
        for key in dict.fromkeys(name[:2] for name in gains)
    }
    effects = _tests(gains, ["effect", *FACTORS], contest)
    return Factorial(summary, effects, _tests(means, ["effect", "unit"], contest))


def _summary(table: pd.DataFrame, every: pd.Index) -> tuple[float, float, float, bool]:
    """Mean over donors, its interval, and whether all settings have a score of `every` donor and each seed."""
    values = table.groupby(BLOCK).mean()
    whole = len(table) == len(every) * table.index.get_level_values("rest").nunique() and table.notna().all(axis=None)
    return intervals.mean(values.to_numpy()), *intervals.bootstrap(values.to_numpy(), clusters(values)), bool(whole)


def _mean(gains: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of several tables over the (donor, seed) that all have; a table that has none is left out."""
    long = [cells(gain) for gain in gains]
    kept = [gain for gain in long if len(gain)] or long[:1]
    return pd.concat(kept, axis=1, join="inner").mean(axis=1).unstack("seed")


def _table(rows: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """One row per (unit, context, training, neighbours, rest, cluster, block), one column per seed."""
    keys = ["split", "task", "setting", "metric"]
    wanted = (rows[keys] == [getattr(contest, key) for key in keys]).all(axis=1) & (rows["unit"] != "none")
    measured = scores(rows[wanted])  # all units are trained and untrained alike, so what one lacks is seen here
    largest = measured["budget"] == measured.groupby("unit")["budget"].transform("max")
    table = comparable(measured[largest | (measured["budget"] == 0)])
    seeds, table, options = list(table.columns), table.reset_index(), entries(rows)
    default = table["unit"].map(OWN_CONTEXT)
    table["context"] = table["method"].map({label: entry.get(OPTION) for label, entry in options.items()})
    table["context"] = table["context"].fillna(default)
    table["rest"] = table["method"].map({label: rest(entry, OPTION) for label, entry in options.items()})
    table["training"] = np.where(table["budget"] > 0, "trained", "untrained")
    return table.groupby([*FACTORS, "rest", *BLOCK])[seeds].mean().rename_axis(columns="seed")


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
                gains[effect, *key] = (table - combinations[against]).groupby(BLOCK).mean()
    return gains


def _tests(gains: dict[tuple[Any, ...], pd.DataFrame], key: list[str], contest: Contest) -> pd.DataFrame:
    """One row per gain, with its test; `key` names the parts of the keys."""
    records = [(*name, *paired(gain, gain * 0, contest)) for name, gain in gains.items()]
    table = pd.DataFrame(records, columns=[*key, *PAIRED])
    table = corrected(table.assign(clear=np.where(table["difference"] > 0, "better", "worse")))[0]
    return table.sort_values(
        ["effect", "unit"], key=lambda names: names.map(ORDER.index), kind="stable", ignore_index=True
    )
