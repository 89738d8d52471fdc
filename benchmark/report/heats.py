"""The means of an ablation in the form that both pictures draw: heat maps of pairs of settings, and single settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.report import words
from benchmark.stats.contests import Contest, select
from benchmark.stats.grids import GRID, Grid
from benchmark.stats.options import Family

SCALE = ("#f3f7fb", "#54a3d6")  # one hue, light enough throughout for dark text on it
INK = "#1b1f24"


@dataclass(frozen=True)
class Heat:
    """The means of a pair of factors.

    Attributes:
        x, y: names of the factors.
        columns, rows: names of their levels.
        value, low, high, reason: `[n_rows, n_columns]`.
    """

    x: str
    y: str
    columns: list[str]
    rows: list[str]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reason: np.ndarray

    def text(self) -> list[list[str]]:
        """Each value with its interval, `[n_rows][n_columns]`; empty where there is none."""
        return [
            ["" if np.isnan(value) else f"{value:.3f}\n{words.span(low, high)}".strip() for value, low, high in row]
            for row in np.stack([self.value, self.low, self.high], axis=-1)
        ]


def held_fixed(family: Family) -> list[str]:
    """The settings that all entrants of a family share, such as "side of a sample 8"."""
    names = sorted(family.fixed, key=words.option_order)
    return [f"{words.short_option_name(name)} {words.level_name(name, family.fixed[name])}" for name in names]


def of_grid(table: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """The rows of a table of means or effects that belong to one grid."""
    return table[(table[GRID] == list(grid.key.values())).all(axis=1)]


def heats(means: pd.DataFrame) -> list[Heat]:
    """The pairs of factors of one grid, in the order of `words.OPTIONS`, if each has two levels or more.

    Of a pair whose levels were not crossed, as where a list of entries changes two settings at once, nothing is drawn.
    A level without any value in a pair is left out of it: the table of effects says why.
    """
    pairs = means[means["factor_2"] != ""]
    keys = list(pairs[["factor", "factor_2"]].drop_duplicates().itertuples(index=False, name=None))
    keys.sort(key=lambda pair: sorted(map(words.option_order, pair)))
    drawn = [_heat(pairs[(pairs["factor"] == a) & (pairs["factor_2"] == b)], a, b) for a, b in keys]
    return [heat for heat in drawn if _crossed(heat.value)]


def _crossed(value: np.ndarray) -> bool:
    """Whether levels of each factor can be compared at one level of the other: some row and some column has two."""
    there = ~np.isnan(value)
    return all((there.sum(axis=axis) > 1).any() for axis in (0, 1))


def _heat(pair: pd.DataFrame, a: str, b: str) -> Heat:
    """The factor with more levels goes down, the other across."""
    levels = [pair["level"].unique(), pair["level_2"].unique()]
    value, low, high, reason = (
        pair[name].to_numpy().reshape(len(levels[0]), len(levels[1])) for name in ("value", "low", "high", "reason")
    )
    filled = [~np.isnan(value).all(axis=1), ~np.isnan(value).all(axis=0)]
    of_a, of_b = (
        [words.level_name(factor, level) for level in texts[kept]]
        for factor, texts, kept in zip((a, b), levels, filled, strict=True)
    )
    arrays = [array[np.ix_(*filled)] for array in (value, low, high, reason)]
    if (len(of_a), words.option_order(a)) > (len(of_b), words.option_order(b)):
        return Heat(words.option_name(b), words.option_name(a), of_b, of_a, *arrays)
    return Heat(words.option_name(a), words.option_name(b), of_a, of_b, *(array.T for array in arrays))


def are_numbers(levels: pd.DataFrame) -> bool:
    """Whether all levels of a setting are numbers: they go across in a plot. Names go down, where there is room."""
    return all(level.replace(".", "", 1).isdigit() for level in levels["level"])


def singles(means: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The factors of one grid, each with the levels that have a value, if there are two or more."""
    values = means[means["factor_2"] == ""].dropna(subset="value")
    factors = sorted(values["factor"].unique(), key=words.option_order)
    tables = [(factor, values[values["factor"] == factor]) for factor in factors]
    return [(factor, levels) for factor, levels in tables if len(levels) > 1]


def colour_range(means: pd.DataFrame, contest: Contest) -> tuple[float, float]:
    """The smallest and the largest value of all heat maps of a contest: they share their colours."""
    values = select(means[means["factor_2"] != ""], contest)["value"]
    return values.min(), values.max()


def score_range(means: pd.DataFrame, contest: Contest) -> tuple[float, float]:
    """Room for all single settings of a contest, whiskers included: they share their axis."""
    points = select(means[means["factor_2"] == ""], contest)[["value", "low", "high"]]
    low, high = points.min().min(), points.max().max()
    room = 0.05 * (high - low) or 0.01
    return low - room, high + room
