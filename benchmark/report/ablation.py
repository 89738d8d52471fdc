"""What each setting changes, as the page shows it: heat maps of pairs, a plot a setting, a table of effects."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from benchmark.core.declarations import declared
from benchmark.report import words
from benchmark.report.figures import plain, whiskers
from benchmark.stats.ablation import PLACE, Grid, effects, means
from benchmark.stats.contests import Contest, select
from benchmark.stats.names import budget_label

SCALE = ("#f3f7fb", "#54a3d6")  # one hue, light enough throughout for the dark text of a cell
INK = "#1b1f24"
MANY = 4  # a heat map with more columns has a row of the page for itself


class Heat(NamedTuple):
    """A pair of factors: names of the axes and their levels; `value`, `low`, `high`, `reason` are `[n_y, n_x]`."""

    x: str
    y: str
    columns: list[str]
    index: list[str]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reason: np.ndarray

    def text(self) -> list[list[str]]:
        """What a cell says: its value and interval, nothing where it has none."""
        return [
            ["" if np.isnan(value) else f"{value:.3f}\n{words.span(low, high)}".strip() for value, low, high in row]
            for row in np.stack([self.value, self.low, self.high], axis=-1)
        ]


def heats(table: pd.DataFrame) -> list[Heat]:
    """The pairs of one grid's `means`, in the order in which options are told; more levels go down, fewer across.

    A level that has no value in a pair has no row there: the table of effects says why.
    """
    found = []
    for both, cells in table[table["factor_2"] != ""].groupby(["factor", "factor_2"], sort=False):
        levels = [cells[column].unique() for column in ("level", "level_2")]
        arrays = [cells[name].to_numpy().reshape(*map(len, levels)) for name in ("value", "low", "high", "reason")]
        some = [~np.isnan(arrays[0]).all(axis=1), ~np.isnan(arrays[0]).all(axis=0)]
        levels = [names[filled] for names, filled in zip(levels, some, strict=True)]
        arrays = [array[np.ix_(*some)] for array in arrays]
        down, across = sorted((0, 1), key=lambda axis: (len(levels[axis]), _told(both[axis])), reverse=True)
        titles = [words.option_name(both[axis]) for axis in (across, down)]
        names = [[words.level_name(both[axis], level) for level in levels[axis]] for axis in (across, down)]
        if min(map(len, names)) > 1:
            heat = Heat(*titles, *names, *(array if down == 0 else array.T for array in arrays))
            found.append((sorted(map(_told, both)), heat))
    return [heat for _, heat in sorted(found, key=lambda pair: pair[0])]


def _told(factor: str) -> tuple[int, str]:
    """Where an option stands among others."""
    return list(words.OPTIONS).index(factor) if factor in words.OPTIONS else len(words.OPTIONS), factor


def sections(grids: list[Grid]) -> tuple[list[dict], dict[str, go.Figure]]:
    """A section a family that has an effect to show, for the template, and the plots that it names."""
    mean, effect = means(grids), effects(grids)
    kept = [grid for grid in grids if own(effect, grid)["p"].notna().any()]
    found, plots = [], {}
    for number, (_, its) in enumerate(groupby(kept, key=lambda grid: id(grid.family))):
        its = list(its)
        family = {"title": its[0].family.method, "caption": _caption(its[0]), "contests": []}
        for grid in its:
            table, effect_rows = own(mean, grid), own(effect, grid)
            name = f"settings-{number}-{grid.contest.task}"
            colours = colour_range(mean, grid.contest)
            drawn = [(_heat(heat, colours), len(heat.columns) > MANY) for heat in heats(table)]
            drawn += [(_curve(levels, grid, score_range(mean, grid.contest)), False) for _, levels in singles(table)]
            plots |= {f"{name}-{n}": figure for n, (figure, _) in enumerate(drawn)}
            family["contests"].append(
                {
                    "title": contest_name(grid.contest),
                    "plots": [(f"{name}-{n}", wide) for n, (_, wide) in enumerate(drawn)],
                    "effects": [_effect(row, table) for row in _in_order(effect_rows)],
                    "notes": [*_reasons(effect_rows), *_shares(effect_rows)],
                }
            )
        found.append(family)
    return found, plots


def contest_name(contest: Contest) -> str:
    about = declared(contest.task)
    return f"{about.title}: {words.metric_of(contest)}, {about.setting_title(contest.setting)}"


def colour_range(mean: pd.DataFrame, contest: Contest) -> tuple[float, float]:
    """Least and greatest cell of all heat maps of a contest: they share their colours."""
    cells = select(mean[mean["factor_2"] != ""], contest)["value"]
    return cells.min(), cells.max()


def score_range(mean: pd.DataFrame, contest: Contest) -> tuple[float, float]:
    """Room for all curves of a contest, whiskers included: they share their axis."""
    points = select(mean[mean["factor_2"] == ""], contest)[["value", "low", "high"]]
    low, high = points.min().min(), points.max().max()
    room = 0.05 * (high - low) or 0.01
    return low - room, high + room


def own(table: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    return table[(table[PLACE] == list(grid.place.values())).all(axis=1)]


def _in_order(effect: pd.DataFrame) -> list[pd.Series]:
    return sorted((row for _, row in effect.iterrows()), key=lambda row: _told(row["factor"]))


def singles(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The factors of one grid's `means`, each with the levels that have a value, two at the least."""
    found = table[table["factor_2"] == ""].dropna(subset="value").groupby("factor", sort=False)
    return sorted(((name, levels) for name, levels in found if len(levels) > 1), key=lambda pair: _told(pair[0]))


def _short(option: str) -> str:
    """Its name without the unit."""
    return words.option_name(option).split(",")[0]


def _caption(grid: Grid) -> str:
    """What varies, what does not, and what the intervals are over."""
    family = grid.family
    vary = " × ".join(_short(factor) for factor in sorted(family.factors, key=_told))
    fixed = [f"{_short(name)} {words.level_name(name, family.fixed[name])}" for name in sorted(family.fixed, key=_told)]
    n_donors, n_seeds = grid.values.shape[-2:]
    n_arms = int(grid.planned.sum()) * n_donors * n_seeds
    missing = n_arms - int((~np.isnan(grid.values)).sum())
    budget = budget_label(family.budget_axis, family.budget, family.unit)
    return (
        f"{len(family.levels)} settings of {family.method} ({vary}), each with {budget}, "
        f"{n_donors} donors held out and {n_seeds} seeds: "
        f"{n_arms:,} scores, {f'{missing:,} of them' if missing else 'none'} missing"
        + (f"; held fixed: {', '.join(fixed)}" if fixed else "")
    )


def _heat(heat: Heat, colours: tuple[float, float]) -> go.Figure:
    text = [["<br>".join(cell.split("\n")) or "–" for cell in row] for row in heat.text()]
    figure = go.Figure(
        go.Heatmap(
            z=[[None if np.isnan(value) else value for value in row] for row in heat.value.tolist()],
            x=heat.columns,
            y=heat.index,
            text=text,
            customdata=heat.reason.tolist(),
            texttemplate="%{text}",
            hovertemplate=f"{heat.x}: %{{x}}<br>{heat.y}: %{{y}}<br>%{{text}}<br>%{{customdata}}<extra></extra>",
            hoverongaps=False,
            textfont={"color": INK},
            colorscale=SCALE,
            zmin=colours[0],
            zmax=colours[1],
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(title=heat.x, type="category", showgrid=False)
    figure.update_yaxes(title=heat.y, type="category", showgrid=False, autorange="reversed")
    return plain(figure, height=110 + 52 * len(heat.index))


def _curve(single: pd.DataFrame, grid: Grid, limits: tuple[float, float]) -> go.Figure:
    """Levels that are numbers across, joined by a line; names down, where there is room for them."""
    factor = single["factor"].iloc[0]
    names = [words.level_name(factor, level) for level in single["level"]]
    numbers = all(level.replace(".", "", 1).isdigit() for level in single["level"])
    title, score = words.option_name(factor), words.metric_of(grid.contest)
    place = {"x": names, "y": single["value"].tolist()} if numbers else {"y": names, "x": single["value"].tolist()}
    colour = words.UNIT_COLOURS[grid.family.unit]
    figure = go.Figure(
        go.Scatter(
            **place,
            **{"error_y" if numbers else "error_x": whiskers(single["value"], single["low"], single["high"])},
            mode="lines+markers" if numbers else "markers",
            marker={"color": colour, "size": 9},
            line={"color": colour, "width": 2},
            hovertemplate="%{x}: %{y:.3f}<extra></extra>" if numbers else "%{y}: %{x:.3f}<extra></extra>",
            showlegend=False,
        )
    )
    if numbers:
        figure.update_xaxes(title=title, type="category")
        figure.update_yaxes(title=score, range=limits)
    else:
        figure.update_xaxes(title=score, range=limits)
        figure.update_yaxes(title=title, type="category", autorange="reversed")
    return plain(figure, height=320)


def _effect(row: pd.Series, table: pd.DataFrame) -> dict:
    """A row of the table of main effects; what is NaN is None."""
    levels = table[(table["factor"] == row["factor"]) & (table["factor_2"] == "")]
    return {key: None if pd.isna(value) else value for key, value in row.items()} | {
        "name": words.option_name(row["factor"]),
        "levels": [
            (words.level_name(row["factor"], level), None if np.isnan(value) else value, level == row["best"])
            for level, value in levels[["level", "value"]].itertuples(index=False)
        ],
        "present": f"{row['n_present']}/{row['n_expected']}",
        "whole": row["n_present"] == row["n_expected"] and not row["reason"],
    }


def _reasons(effect: pd.DataFrame) -> list[str]:
    """Why something is missing, each reason once with the settings that it holds for."""
    return [
        f"{', '.join(map(_short, sorted(names, key=_told)))}: {reason}."
        for reason, names in effect[effect["reason"] != ""].groupby("reason")["factor"]
    ]


def _shares(effect: pd.DataFrame) -> list[str]:
    """Where the rest of the variance lies; nothing where it cannot be told."""
    first = effect.iloc[0]
    if np.isnan(first["share"]):
        return []
    return [
        f"Of the variance over the {first['n_places']} (donor, seed) that have every arm, the settings one by one hold "
        f"{effect['share'].sum():.0%}, their interactions {first['share_interactions']:.0%}, donors and seeds "
        f"{first['share_donors_seeds']:.0%}; the remaining {first['share_rest']:.0%} is what a setting does "
        "differently from one donor or seed to the next, and noise."
    ]
