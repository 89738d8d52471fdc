"""The leakage index: how much lower a score under random spots is once donors are held out; and two controls."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.names import named
from benchmark.stats.rows import BLOCK, ENTRANT, clusters, scores

SPLITS = ("random", "few_labels")  # test spots lie on slides that were trained on
METRICS = ("accuracy", "macro_f1", "ari_of_predictions")
NOISE = "noise"  # the control that holds positions but no expression: random numbers averaged over near spots
RANDOM = "random"  # the control that holds nothing
POOLED = "scores under this split are pooled over slides, those with donors held out are means over slides"
CONTEST = ["dataset", "split", "setting", "neighbours", "metric"]
COLUMNS = [
    *CONTEST,
    "name",
    *ENTRANT,
    *("value", "low", "high"),
    *("held_out", "held_out_low", "held_out_high"),
    *("index", "index_low", "index_high"),
    *("random_index", "random_index_low", "random_index_high"),
    *("noise", "above_noise", "above_noise_low", "above_noise_high"),
    *("n_donors", "n_seeds", "reason"),
]


def leakage(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per entrant, split within slides, probe, smoothing and metric of the domain task.

    `value` is the score under that split, `held_out` the same score with whole donors held out. Both are means over
    donors of means over slides and seeds. `index`, the leakage index, is their difference over the (slide, seed) that
    both have. `random_index` is that of the control `random`, whose embedding holds nothing: what the two splits differ
    by where nothing can leak. `noise` is the score of the control of that name under the same split, probe and
    smoothing, `above_noise` the entrant's score less that one: what it has beyond what positions alone give.

    All are paired by slide and seed, and intervals resample donors (folds, where one holds several) and seeds. One more
    thing differs between the two splits and is part of the index: pretraining saw the slides of the first.

    In old score rows the test spots of a split within slides are pooled over slides. Such a score has no
    index, and `reason` says why.
    """
    measured = scores(rows[(rows["task"] == "domain") & rows["metric"].isin(METRICS)])
    measured = measured[measured["split"].isin(["donor", *SPLITS]) & (measured["setting"] != "majority")]
    by_slide = measured.groupby([*CONTEST, *ENTRANT, *BLOCK, "slide", "seed"])["value"].mean()
    tables = {key: part.droplevel([*CONTEST, *ENTRANT]) for key, part in by_slide.groupby([*CONTEST, *ENTRANT])}
    controls = {(*key[: len(CONTEST)], key[len(CONTEST)]): part for key, part in tables.items()}
    records = [
        _record(key, part, tables.get((key[0], "donor", *key[2:])), controls)
        for key, part in tables.items()
        if key[1] in SPLITS
    ]
    order = [*CONTEST, "value", *ENTRANT]
    table = pd.DataFrame(records, columns=[column for column in COLUMNS if column != "name"])
    return named(table, rows)[COLUMNS].sort_values(
        order, ascending=[column != "value" for column in order], ignore_index=True
    )


def _record(key: tuple, split: pd.Series, donor: pd.Series | None, controls: dict[tuple, pd.Series]) -> tuple:
    """A row of the table. The scores are indexed by cluster, block, slide and seed."""
    contest, method = key[: len(CONTEST)], key[len(CONTEST)]
    at_random, held_out = (controls.get((key[0], where, *key[2:5], RANDOM)) for where in (key[1], "donor"))
    noise = controls.get((*contest, NOISE))
    nothing = (np.nan, np.nan, np.nan)
    pooled = (split.index.get_level_values("slide") == "pooled").all()
    index = nothing if donor is None else _difference(split, donor)
    return (
        *key,
        *_with_interval(split),
        *(nothing if donor is None else _with_interval(donor)),
        *index,
        *(nothing if at_random is None or held_out is None else _difference(at_random, held_out)),
        np.nan if noise is None else _with_interval(noise)[0],
        *(nothing if noise is None or method == NOISE else _difference(split, noise)),
        0 if donor is None else donor.index.get_level_values("block").nunique(),
        split.index.get_level_values("seed").nunique(),
        POOLED if pooled and donor is not None else "",
    )


def _difference(a: pd.Series, b: pd.Series) -> tuple[float, float, float]:
    """Mean and 95% interval of a − b over the (slide, seed) that both have. The clusters are those of `b`."""
    places = ["block", "slide", "seed"]
    values = b.rename("b").reset_index().merge(a.rename("a").reset_index()[[*places, "a"]], on=places)
    return _with_interval(values.assign(value=values["a"] - values["b"]).set_index([*BLOCK, "slide", "seed"])["value"])


def _with_interval(values: pd.Series) -> tuple[float, float, float]:
    """Mean over donors and 95% interval of scores, NaN if there are none."""
    if values.empty:
        return np.nan, np.nan, np.nan
    table = values.groupby([*BLOCK, "seed"]).mean().unstack("seed")
    return intervals.mean(table.to_numpy()), *intervals.bootstrap(table.to_numpy(), clusters(table))
