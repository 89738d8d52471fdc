"""The plots of an ablation on the page: a heat map of each pair of settings, a plot of each setting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from benchmark.report import words
from benchmark.report.drawing import plain, whiskers
from benchmark.report.heats import INK, SCALE, Heat, are_numbers, colour_range, heats, score_range, singles
from benchmark.stats.grids import Grid

MANY = 4  # a heat map with more columns has a row of the page for itself


def plots(means: pd.DataFrame, of_grid: pd.DataFrame, grid: Grid) -> list[tuple[go.Figure, bool]]:
    """All plots of one grid, and whether each needs the whole width of the page.

    Args:
        means: `ablation.means` of all grids; they share their scales.
        of_grid: the rows of this grid.
    """
    colours, scores = colour_range(means, grid.contest), score_range(means, grid.contest)
    maps = [(_heat_map(heat, colours), len(heat.columns) > MANY) for heat in heats(of_grid)]
    return maps + [(_single(factor, levels, grid, scores), False) for factor, levels in singles(of_grid)]


def _heat_map(heat: Heat, colours: tuple[float, float]) -> go.Figure:
    figure = go.Figure(
        go.Heatmap(
            z=[[None if np.isnan(value) else value for value in row] for row in heat.value.tolist()],
            x=heat.columns,
            y=heat.rows,
            text=[["<br>".join(text.split("\n")) or "–" for text in row] for row in heat.text()],
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
    return plain(figure, height=110 + 52 * len(heat.rows))


def _single(factor: str, levels: pd.DataFrame, grid: Grid, limits: tuple[float, float]) -> go.Figure:
    """Levels that are numbers go across and are joined by a line. Names go down."""
    names = [words.level_name(factor, level) for level in levels["level"]]
    numbers = are_numbers(levels)
    title, score = words.option_name(factor), words.metric_of(grid.contest)
    points = {"x": names, "y": levels["value"].tolist()} if numbers else {"y": names, "x": levels["value"].tolist()}
    colour = words.UNIT_COLOURS[grid.family.unit]
    figure = go.Figure(
        go.Scatter(
            **points,
            **{"error_y" if numbers else "error_x": whiskers(levels["value"], levels["low"], levels["high"])},
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
