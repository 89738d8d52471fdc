"""The scores of a family of settings as an array, and its means over some of the factors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats.contests import Contest, first_contest, select
from benchmark.stats.options import KEY, Family, families
from benchmark.stats.rows import BLOCK, by_label, comparable, scores

TASKS = ("domain", "reconstruction")  # settings are compared by the first key score of each
ENOUGH = 0.5  # a level with a smaller share of its scores is left out, or the other levels would lose theirs with it
GRID = [*KEY, *Contest._fields]  # the columns of `Grid.key` in tables


@dataclass(frozen=True)
class Grid:
    """A family's scores in one contest. A combination is one level of each factor.

    Attributes:
        values: `[*n_levels, n_donors, n_seeds]`, one axis per factor, NaN where there is no score.
        planned: bool `[*n_levels]`, the combinations that the run has an entrant for.
        clusters: `[n_donors]`, the name of each donor's cluster: of those that one model was tested on.
    """

    family: Family
    contest: Contest
    values: np.ndarray
    planned: np.ndarray
    clusters: np.ndarray

    @property
    def key(self) -> dict[str, Any]:
        """The columns `GRID`."""
        return self.family.key | self.contest._asdict()


class MarginalMeans(NamedTuple):
    """Means over all factors but some.

    Attributes:
        values: `[n_combinations, n_donors, n_seeds]`, the combinations of the factors that are kept.
        reasons: why a combination has no mean, else "".
        n_present: number of (other settings, donor, seed) that the means are over.
        n_expected: the number if no arm had failed.
    """

    values: np.ndarray
    reasons: list[str]
    n_present: int
    n_expected: int


def grids(rows: pd.DataFrame) -> list[Grid]:
    """The families of the rows in the first contest of each of `TASKS`, if they have a score in it."""
    contests = [first_contest(task) for task in TASKS]
    every = [_grid(rows, family, contest) for family in families(rows) for contest in contests]
    return [grid for grid in every if not np.isnan(grid.values).all()]


def _grid(rows: pd.DataFrame, family: Family, contest: Contest) -> Grid:
    measured = scores(select(rows[rows["dataset"] == family.dataset], contest))
    donors = pd.MultiIndex.from_frame(measured[BLOCK].drop_duplicates().sort_values("block"))  # of any entrant
    seeds = sorted(measured["seed"].unique())
    of_family = measured["method"].isin(family.levels.index)
    for name in set(KEY) - {"method"}:
        of_family &= measured[name] == getattr(family, name)
    matrix = comparable(measured[of_family]).reindex(columns=seeds)
    shape = tuple(len(levels) for levels in family.factors.values())
    values, planned = np.full((*shape, len(donors), len(seeds)), np.nan), np.zeros(shape, dtype=bool)
    by_method = {label: part.droplevel("method") for label, part in by_label(matrix).groupby("method")}
    for label, levels in zip(family.levels.index, family.levels.to_numpy(), strict=True):
        where = tuple(texts.index(level) for texts, level in zip(family.factors.values(), levels, strict=True))
        planned[where] = True
        if label in by_method:
            values[where] = by_method[label].reindex(donors)
    return Grid(family, contest, values, planned, donors.get_level_values("cluster").to_numpy())


def marginal_means(grid: Grid, kept: tuple[int, ...]) -> MarginalMeans:
    """Means over all factors but those of the axes `kept`, in the order of their levels.

    A (other settings, donor, seed) counts only if every combination of the kept factors has a score there. So all
    means are over the same arms: a failed arm costs each combination alike and favours none.

    A combination is left out, and has a reason, if it was not in the run, if it has under half of its scores, or if
    it shares no other settings with the rest.
    """
    n_factors = grid.planned.ndim
    others = [axis for axis in range(n_factors) if axis not in kept]
    n_combinations = math.prod(grid.planned.shape[axis] for axis in kept)
    planned = grid.planned.transpose([*kept, *others]).reshape(n_combinations, -1)
    values = grid.values.transpose([*kept, *others, n_factors, n_factors + 1])
    values = values.reshape(*planned.shape, *values.shape[-2:])
    has_score = ~np.isnan(values)
    present, expected = has_score.sum(axis=(1, 2, 3)), planned.sum(axis=1) * math.prod(values.shape[-2:])
    used = (present > 0) & (present >= ENOUGH * expected)
    reasons = np.array([f"only {n} of {all_} scores" for n, all_ in zip(present, expected, strict=True)], object)
    reasons[expected == 0] = "not in this run"
    while used.any() and not planned[used].all(axis=0).any():  # leave out the one with the fewest other settings
        apart = np.flatnonzero(used)[planned[used].sum(axis=1).argmin()]
        used[apart], reasons[apart] = False, "shares no other settings with the rest"
    n_expected = int((planned[used].all(axis=0) & used.any()).sum() * math.prod(values.shape[-2:]))
    whole = has_score[used].all(axis=0) & used.any()  # [n_other_settings, n_donors, n_seeds]
    reasons[used] = "" if whole.any() else "no donor and seed has every level"
    mean = np.where(whole, values, 0).sum(axis=1) / np.where(whole.any(axis=0), whole.sum(axis=0), np.nan)
    mean[~used] = np.nan
    return MarginalMeans(mean, reasons.tolist(), int(whole.sum()), n_expected)
