"""How much of a score under random spots is gone once donors are held out, and how much place alone would give."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.names import named
from benchmark.stats.rows import ENTRANT, cells, scores

SPLITS = ("random", "few_labels")  # spots of slides that were trained on; pooled over slides
METRICS = ("accuracy", "macro_f1", "ari_of_predictions")
NOISE = "noise"  # the control that holds no expression, only its place: numbers averaged over near spots
CONTEST = ["dataset", "split", "setting", "neighbours", "metric"]
COLUMNS = [
    *CONTEST,
    "name",
    *ENTRANT,
    *("value", "low", "high"),
    *("held_out", "held_out_low", "held_out_high"),
    *("index", "index_low", "index_high"),
    *("noise", "above_noise", "above_noise_low", "above_noise_high"),
    *("n_repeats", "n_donors", "n_seeds"),
]


def leakage(rows: pd.DataFrame) -> pd.DataFrame:
    """One row an entrant, split within slides, probe, smoothing and metric of the domain task.

    `value` is the score under that split, `held_out` the same with whole donors held out, `index` the leakage index:
    their difference. `noise` is what the control of that name reaches under the same split, probe and smoothing, and
    `above_noise` the entrant's distance from it: what it has above what place alone gives.

    The interval of `index` resamples donors on the side that holds them out, repeats of the split on the other, and
    seeds on both at once. Test spots are pooled over slides under the split, so donors cannot be resampled there: it
    says how sure this index is on these slides, not how it would vary with other tissue. Nor does it tell apart what
    else differs between the sides: a pooled score weighs slides by their spots, one with donors held out is a mean
    over slides, and pretraining saw the test spots of the pooled one. `above_noise` is paired by repeat (all entrants
    meet the same spots) and seed, and says nothing of donors either.
    """
    measured = scores(rows[(rows["task"] == "domain") & rows["metric"].isin(METRICS)])
    measured = measured[measured["split"].isin(["donor", *SPLITS]) & (measured["setting"] != "majority")]
    table = cells(measured).reindex(columns=sorted(measured["seed"].unique())).droplevel("task")
    found = {key: block.droplevel([*CONTEST, *ENTRANT]) for key, block in table.groupby([*CONTEST, *ENTRANT])}
    noise = {key[: len(CONTEST)]: block for key, block in found.items() if key[len(CONTEST)] == NOISE}
    records = [
        _record(key, block, found.get((key[0], "donor", *key[2:])), noise.get(key[: len(CONTEST)]))
        for key, block in found.items()
        if key[1] in SPLITS
    ]
    order = [*CONTEST, "value", *ENTRANT]
    table = pd.DataFrame(records, columns=[column for column in COLUMNS if column != "name"])
    return named(table, rows)[COLUMNS].sort_values(
        order, ascending=[column != "value" for column in order], ignore_index=True
    )


def _record(key: tuple, split: pd.DataFrame, donor: pd.DataFrame | None, noise: pd.DataFrame | None) -> tuple:
    """A row of the table. The scores have a row a repeat or donor and a column a seed."""
    method, *_ = who = key[len(CONTEST) :]
    held_out = index = above = (np.nan, np.nan, np.nan)
    value = intervals.mean(split.to_numpy())
    if donor is not None:
        held_out = _with_interval(donor)
        index = (value - held_out[0], *intervals.bootstrap_apart(split.to_numpy(), donor.to_numpy()))
    if noise is not None and method != NOISE:
        above = _with_interval((split - noise).dropna(how="all"))
    return (
        *key[: len(CONTEST)],
        *who,
        *_with_interval(split),
        *held_out,
        *index,
        np.nan if noise is None else intervals.mean(noise.to_numpy()),
        *above,
        len(split),
        0 if donor is None else len(donor),
        int(split.notna().any().sum()),
    )


def _with_interval(table: pd.DataFrame) -> tuple[float, float, float]:
    if table.empty:
        return np.nan, np.nan, np.nan
    return intervals.mean(table.to_numpy()), *intervals.bootstrap(table.to_numpy())
