"""The leakage index: how much lower a score under random spots is once donors are held out; and two controls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.names import named
from benchmark.stats.rows import BLOCK, ENTRANT, scores

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


class _Scores(NamedTuple):
    """Scores of one entrant. Their axes are those of every entrant, so that two are paired place by place."""

    values: np.ndarray  # [n_slides, n_seeds], NaN where there is none
    blocks: np.ndarray  # [n_slides], the number of each slide's block
    clusters: np.ndarray  # [n_slides], the number of its cluster under this split; -1 where there is no score
    pooled: bool  # over slides


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
    by_slide = measured.groupby([*CONTEST, *ENTRANT, *BLOCK, "slide", "seed"])["value"].mean().reset_index()
    tables = _tables(by_slide)
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


def _tables(by_slide: pd.DataFrame) -> dict[tuple, _Scores]:
    """The scores of each contest and entrant, from one row a slide and seed."""
    places = by_slide.groupby(["block", "slide"]).ngroup().to_numpy()
    seeds, clusters = (pd.factorize(by_slide[name], sort=True)[0] for name in ("seed", "cluster"))
    shape = (places.max(initial=-1) + 1, seeds.max(initial=-1) + 1)
    blocks = np.empty(shape[0], int)
    blocks[places] = pd.factorize(by_slide["block"], sort=True)[0]
    pooled = (by_slide["slide"] == "pooled").to_numpy()
    tables: dict[tuple, _Scores] = {}
    groups: dict[tuple, np.ndarray] = by_slide.groupby([*CONTEST, *ENTRANT]).indices  # type: ignore[assignment]
    for key, at in groups.items():
        values, of_cluster = np.full(shape, np.nan), np.full(shape[0], -1)
        values[places[at], seeds[at]] = by_slide["value"].to_numpy()[at]
        of_cluster[places[at]] = clusters[at]
        tables[key] = _Scores(values, blocks, of_cluster, bool(pooled[at].all()))
    return tables


def _record(key: tuple, split: _Scores, donor: _Scores | None, controls: dict[tuple, _Scores]) -> tuple:
    """A row of the table."""
    contest, method = key[: len(CONTEST)], key[len(CONTEST)]
    at_random, held_out = (controls.get((key[0], where, *key[2:5], RANDOM)) for where in (key[1], "donor"))
    noise = controls.get((*contest, NOISE))
    nothing = (np.nan, np.nan, np.nan)
    return (
        *key,
        *_with_interval(split),
        *(nothing if donor is None else _with_interval(donor)),
        *(nothing if donor is None else _difference(split, donor)),
        *(nothing if at_random is None or held_out is None else _difference(at_random, held_out)),
        np.nan if noise is None else _with_interval(noise)[0],
        *(nothing if noise is None or method == NOISE else _difference(split, noise)),
        0 if donor is None else len(np.unique(donor.blocks[_measured(donor)])),
        int((~np.isnan(split.values)).any(axis=0).sum()),
        POOLED if split.pooled and donor is not None else "",
    )


def _measured(scores: _Scores) -> np.ndarray:
    """Whether a slide has a score of any seed, `[n_slides]`."""
    return ~np.isnan(scores.values).all(axis=1)


def _difference(a: _Scores, b: _Scores) -> tuple[float, float, float]:
    """Mean and 95% interval of a − b over the (slide, seed) that both have. The clusters are those of `b`."""
    return _with_interval(b._replace(values=a.values - b.values))


def _with_interval(scores: _Scores) -> tuple[float, float, float]:
    """Mean over donors and 95% interval of scores, NaN if there are none."""
    at = np.flatnonzero(_measured(scores))
    if not at.size:
        return np.nan, np.nan, np.nan
    at = at[np.lexsort((scores.blocks[at], scores.clusters[at]))]
    values = scores.values[at]
    values = values[:, ~np.isnan(values).all(axis=0)]
    first = np.flatnonzero(np.diff(scores.blocks[at], prepend=-1))  # slide of each block
    total, count = (np.add.reduceat(of, first) for of in (np.where(np.isnan(values), 0, values), ~np.isnan(values) * 1))
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return intervals.mean(means), *intervals.bootstrap(means, scores.clusters[at[first]])
