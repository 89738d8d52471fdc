"""The leakage index: how much lower a score under random spots is once donors are held out; and a noise control."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.names import named
from benchmark.stats.rows import ENTRANT, Entrant, score_matrix, scores

SPLITS = ("random", "few_labels")  # test spots lie on slides that were trained on; pooled over slides
METRICS = ("accuracy", "macro_f1", "ari_of_predictions")
NOISE = "noise"  # the control that holds positions but no expression: random numbers averaged over near spots
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
    """One row per entrant, split within slides, probe, smoothing and metric of the domain task.

    `value` is the score under that split. `held_out` is the same score with whole donors held out. `index`, the
    leakage index, is their difference. `noise` is the score of the control of that name under the same split, probe
    and smoothing. `above_noise` is the entrant's score less that one: what it has beyond what positions alone give.

    The interval of `index` resamples donors on the side that holds them out, repeats of the split on the other side,
    and seeds on both at once. Test spots are pooled over slides under the split, so donors cannot be resampled there.
    The interval therefore says how sure this index is on these slides, not how it varies with other tissue. Two more
    things differ between the sides and are part of the index: a pooled score weighs slides by their spots, while the
    score with donors held out is a mean over slides; and pretraining saw the test spots of the pooled score.
    `above_noise` is paired by repeat (all entrants meet the same spots) and seed, and says nothing of donors either.
    """
    measured = scores(rows[(rows["task"] == "domain") & rows["metric"].isin(METRICS)])
    measured = measured[measured["split"].isin(["donor", *SPLITS]) & (measured["setting"] != "majority")]
    table = score_matrix(measured).reindex(columns=sorted(measured["seed"].unique())).droplevel("task")
    matrices = {key: block.droplevel([*CONTEST, *ENTRANT]) for key, block in table.groupby([*CONTEST, *ENTRANT])}
    noise = {key[: len(CONTEST)]: matrix for key, matrix in matrices.items() if key[len(CONTEST)] == NOISE}
    records = [
        _record(key, matrix, matrices.get((key[0], "donor", *key[2:])), noise.get(key[: len(CONTEST)]))
        for key, matrix in matrices.items()
        if key[1] in SPLITS
    ]
    order = [*CONTEST, "value", *ENTRANT]
    table = pd.DataFrame(records, columns=[column for column in COLUMNS if column != "name"])
    return named(table, rows)[COLUMNS].sort_values(
        order, ascending=[column != "value" for column in order], ignore_index=True
    )


def _record(key: tuple, split: pd.DataFrame, donor: pd.DataFrame | None, noise: pd.DataFrame | None) -> tuple:
    """A row of the table. The scores have one row per repeat or donor and one column per seed."""
    entrant = Entrant._make(key[len(CONTEST) :])
    held_out = index = above = (np.nan, np.nan, np.nan)
    value = intervals.mean(split.to_numpy())
    if donor is not None:
        held_out = _with_interval(donor)
        index = (value - held_out[0], *intervals.bootstrap_apart(split.to_numpy(), donor.to_numpy()))
    if noise is not None and entrant.method != NOISE:
        above = _with_interval((split - noise).dropna(how="all"))
    return (
        *key[: len(CONTEST)],
        *entrant,
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
    """Mean and 95% interval of scores, NaN if there are none."""
    if table.empty:
        return np.nan, np.nan, np.nan
    return intervals.mean(table.to_numpy()), *intervals.bootstrap(table.to_numpy())
