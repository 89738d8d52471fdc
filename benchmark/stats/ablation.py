"""What each setting of a method changes: means over a grid of settings, main effects, and shares of the variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.comparisons import ALPHA
from benchmark.stats.contests import Contest, first_contest, select
from benchmark.stats.options import KEY, Family, families
from benchmark.stats.rows import cells, scores

TASKS = ("domain", "reconstruction")  # by whose first key score settings are compared
ENOUGH = 0.5  # a level with a smaller share of its scores is left out, lest it take the others' scores with it
PLACE = [*KEY, *Contest._fields]
COUNTS = ["n_present", "n_expected"]
MEAN_COLUMNS = [*PLACE, "factor", "level", "factor_2", "level_2", "value", "low", "high", *COUNTS, "reason"]
EFFECT_COLUMNS = [
    *PLACE,
    *["factor", "n_levels", "best", "best_value", "worst", "worst_value", "difference", "low", "high", "n_donors"],
    *COUNTS,
    *["p", "p_holm", "verdict"],
    *["share", "share_interactions", "share_donors_seeds", "share_rest", "n_places", "reason"],
]
CLEAR, TOO_FEW, UNCLEAR = "a clear difference", "too few donors to tell", "no clear difference"


@dataclass(frozen=True)
class Grid:
    """A family's scores in one contest.

    Attributes:
        values: `[*n_levels, n_donors, n_seeds]`, an axis a factor; NaN where there is no score.
        planned: bool `[*n_levels]`, the combinations that the run has an entrant for.
    """

    family: Family
    contest: Contest
    values: np.ndarray
    planned: np.ndarray

    @property
    def place(self) -> dict:
        return self.family.key | self.contest._asdict()


class Margin(NamedTuple):
    """Means over all factors but some: `values` `[n_cells, n_donors, n_seeds]`, and why a cell has none, else ""."""

    values: np.ndarray
    reasons: list[str]
    n_present: int
    n_expected: int


def grids(rows: pd.DataFrame) -> list[Grid]:
    """The families of the rows in the first contest of each of `TASKS`, where they have a score in it."""
    contests = [first_contest(task) for task in TASKS]
    found = [_grid(rows, family, contest) for family in families(rows) for contest in contests]
    return [grid for grid in found if not np.isnan(grid.values).all()]


def _grid(rows: pd.DataFrame, family: Family, contest: Contest) -> Grid:
    measured = scores(select(rows[rows["dataset"] == family.dataset], contest))
    donors, seeds = (sorted(measured[name].unique()) for name in ("block", "seed"))  # that anybody was scored on
    own = measured["method"].isin(family.levels.index)
    for name in set(KEY) - {"method"}:
        own &= measured[name] == getattr(family, name)
    table = cells(measured[own]).reindex(columns=seeds)
    shape = tuple(len(levels) for levels in family.factors.values())
    values, planned = np.full((*shape, len(donors), len(seeds)), np.nan), np.zeros(shape, dtype=bool)
    by_label = dict(list(table.groupby("method")))
    for label, levels in family.levels.iterrows():
        where = tuple(family.factors[factor].index(level) for factor, level in levels.items())
        planned[where] = True
        if label in by_label:
            values[where] = by_label[label].set_index(by_label[label].index.get_level_values("block")).reindex(donors)
    return Grid(family, contest, values, planned)


def margin(grid: Grid, kept: tuple[int, ...]) -> Margin:
    """Means over all factors but those of the axes `kept`, the cells in the order of their levels.

    A donor, seed and combination of the other factors counts only where every cell has its score, so that all cells
    are means over the very same: a failed arm costs each cell alike and favours none. Cells that were not in the run,
    that have under half of their scores, or that share no combination with the rest are left out of this and say so.
    """
    n_factors = grid.planned.ndim
    others = [axis for axis in range(n_factors) if axis not in kept]
    n_cells = math.prod(grid.planned.shape[axis] for axis in kept)
    planned = grid.planned.transpose([*kept, *others]).reshape(n_cells, -1)
    values = grid.values.transpose([*kept, *others, n_factors, n_factors + 1])
    values = values.reshape(*planned.shape, *values.shape[-2:])
    there = ~np.isnan(values)
    present, expected = there.sum(axis=(1, 2, 3)), planned.sum(axis=1) * math.prod(values.shape[-2:])
    used = (present > 0) & (present >= ENOUGH * expected)
    reasons = np.array([f"only {n} of {all_} scores" for n, all_ in zip(present, expected, strict=True)], object)
    reasons[expected == 0] = "not in this run"
    while used.any() and not planned[used].all(axis=0).any():  # the entry that stands most apart leaves first
        apart = np.flatnonzero(used)[planned[used].sum(axis=1).argmin()]
        used[apart], reasons[apart] = False, "shares no other settings with the rest"
    n_expected = int((planned[used].all(axis=0) & used.any()).sum() * math.prod(values.shape[-2:]))
    whole = there[used].all(axis=0) & used.any()  # [n_contexts, n_donors, n_seeds]
    reasons[used] = "" if whole.any() else "no donor and seed has every level"
    mean = np.where(whole, values, 0).sum(axis=1) / np.where(whole.any(axis=0), whole.sum(axis=0), np.nan)
    mean[~used] = np.nan
    return Margin(mean, reasons.tolist(), int(whole.sum()), n_expected)


def means(found: list[Grid]) -> pd.DataFrame:
    """A row a level of each factor, then a row a cell of each pair of factors: the mean over all others.

    `low` and `high` bound its 95% bootstrap interval over donors and seeds. `n_present` of `n_expected` counts the
    scores behind the cell: of each other setting that it shares with the other cells, donor and seed.
    """
    records = []
    for grid in found:
        names = list(grid.family.factors)
        for kept in [*combinations(range(len(names)), 1), *combinations(range(len(names)), 2)]:
            made = margin(grid, kept)
            levels = pd.MultiIndex.from_product([grid.family.factors[names[axis]] for axis in kept])
            for level, values, reason in zip(levels, made.values, made.reasons, strict=True):
                labels = [part for axis, text in zip(kept, level, strict=True) for part in (names[axis], text)]
                value = (np.nan,) * 3 if reason else (intervals.mean(values), *intervals.bootstrap(values))
                labels = [*labels, "", ""][:4]
                records.append((*grid.place.values(), *labels, *value, made.n_present, made.n_expected, reason))
    return pd.DataFrame(records, columns=MEAN_COLUMNS)


def effects(found: list[Grid]) -> pd.DataFrame:
    """A row a factor: its best and worst level, how far they are apart, and its share of the variance.

    `difference` is paired by donor, seed and the other factors. Its ends are picked on the scores that they are
    compared by, so that its interval leans away from 0; `p` does not, being that of the distance itself (see
    `intervals.spread_test`), corrected by Holm over the factors of a family and contest. For the shares see `shares`:
    they rest on the `n_places` donors and seeds that have every arm.
    """
    records = [
        grid.place | {"factor": name} | _distance(grid, axis) | variance
        for grid in found
        for axis, (name, variance) in enumerate(zip(grid.family.factors, _variance(grid), strict=True))
    ]
    table = pd.DataFrame(records, columns=[*EFFECT_COLUMNS, "no_share"])
    tested = table.dropna(subset="p")
    by_contest = tested.groupby(PLACE)["p"]
    p_holm = by_contest.transform(lambda p: intervals.holm(p.to_numpy()))
    arrangements = tested["n_levels"].map(math.factorial).astype(float)
    least = by_contest.transform("size") * arrangements ** (1.0 - tested["n_donors"])
    verdict = np.where(p_holm < ALPHA, CLEAR, np.where(least >= ALPHA, TOO_FEW, UNCLEAR))
    table = table.assign(p_holm=p_holm, verdict=pd.Series(verdict, tested.index, dtype=object)).fillna({"verdict": ""})
    table["reason"] = ["; ".join(filter(None, both)) for both in table[["reason", "no_share"]].itertuples(index=False)]
    counts = ["n_levels", "n_donors", "n_places"]
    return table[EFFECT_COLUMNS].fillna({"n_places": 0}).astype(dict.fromkeys(counts, int))


def _distance(grid: Grid, axis: int) -> dict:
    """The best against the worst level of a factor."""
    made, levels = margin(grid, (axis,)), list(grid.family.factors.values())[axis]
    left = [level for level, reason in zip(levels, made.reasons, strict=True) if not reason]
    values = made.values[[not reason for reason in made.reasons]]
    values = values[:, ~np.isnan(values).all(axis=(0, 2))]
    found = {"n_levels": len(left), "n_donors": values.shape[1], "n_present": made.n_present}
    found |= {"n_expected": made.n_expected, "best": "", "worst": ""}
    found["reason"] = "; ".join(f"{level}: {why}" for level, why in zip(levels, made.reasons, strict=True) if why)
    if len(left) < 2:
        return found
    average = np.array([intervals.mean(level) for level in values])
    sign = -1 if grid.contest.lower_is_better else 1
    best, worst = (sign * average).argmax(), (sign * average).argmin()
    difference = sign * (values[best] - values[worst])
    low, high = intervals.bootstrap(difference)
    return found | {
        **{"best": left[best], "best_value": average[best], "worst": left[worst], "worst_value": average[worst]},
        **{"difference": intervals.mean(difference), "low": low, "high": high},
        "p": intervals.spread_test(np.nanmean(values, axis=2)),
    }


def _variance(grid: Grid) -> list[dict]:
    """The shares of each factor, or why there are none."""
    values, planned = grid.values, grid.planned
    for axis in range(planned.ndim):
        reasons = margin(grid, (axis,)).reasons
        kept = [index for index, reason in enumerate(reasons) if not reason] or list(range(len(reasons)))
        values, planned = values.take(kept, axis), planned.take(kept, axis)
    places = values.reshape(*planned.shape, -1)
    whole = places[..., ~np.isnan(places).any(axis=tuple(range(planned.ndim)))]
    holes = int((~planned).sum() + (planned & np.isnan(places).all(axis=-1)).sum())
    if holes or not whole.size:
        lacking = f"{holes} of {planned.size} combinations have no score" if holes else "no donor and seed has all arms"
        return [{"no_share": f"no share of the variance: {lacking}"}] * planned.ndim
    if np.ptp(whole) == 0:
        return [{"no_share": "no share of the variance: all scores are equal"}] * planned.ndim
    factors, interactions, blocks, rest = shares(whole)
    others = {
        "share_interactions": interactions,
        "share_donors_seeds": blocks,
        "share_rest": rest,
        "n_places": whole.shape[-1],
        "no_share": "",
    }
    return [{"share": share} | others for share in factors]


def shares(values: np.ndarray) -> tuple[list[float], float, float, float]:
    """Eta squared, sum of squares over the total one: of each factor, of their interactions, of places, of the rest.

    An analysis of variance of a randomised complete block design: factors are crossed and without replicates, and a
    place (a donor and seed) is a block that meets every combination. The rest is how the effects differ between places,
    and noise. The shares add up to 1. Cohen 1973, Educational and Psychological Measurement 33:107–112.

    Args:
        values: `[*n_levels, n_places]`, an axis a factor, none NaN, not all equal.
    """
    factors = tuple(range(values.ndim - 1))
    centred = values - values.mean()
    total = (centred**2).mean()
    settings = (centred.mean(axis=-1) ** 2).mean() / total
    places = (centred.mean(axis=factors) ** 2).mean() / total
    main = [
        float((centred.mean(axis=tuple(other for other in range(values.ndim) if other != axis)) ** 2).mean() / total)
        for axis in factors
    ]
    return main, float(settings - sum(main)), float(places), float(1 - settings - places)
