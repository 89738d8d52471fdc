"""The picture of an ablation: heat maps of its pairs of settings side by side, one row per family and contest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.core.files import write_atomic
from benchmark.report import words
from benchmark.report.heats import (
    INK,
    SCALE,
    Heat,
    are_numbers,
    colour_range,
    heats,
    held_fixed,
    of_grid,
    score_range,
    singles,
)
from benchmark.stats.grids import Grid
from benchmark.stats.names import budget_label

Panel = Heat | tuple[str, pd.DataFrame]  # a pair of factors, or one factor with its levels


def ablation_figure(grids: list[Grid], means: pd.DataFrame, path: Path) -> Path:
    """Write a PNG. A family of one factor has a curve instead. If no arm has a score, the picture says so.

    Args:
        grids: what to draw.
        means: `ablation.means(grids)`.
    """
    from matplotlib.figure import Figure

    rows = [(grid, panels) for grid in grids if (panels := _panels(of_grid(means, grid)))]
    heights = [1.7 + 0.42 * max(map(_depth, panels)) for _, panels in rows]
    n_columns = max((len(panels) for _, panels in rows), default=1)
    figure = Figure(figsize=(max(3.9 * n_columns, 6), sum(heights) or 1), layout="constrained")
    if rows:
        strips = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False).ravel()
        for strip, (grid, panels) in zip(strips, rows, strict=True):
            _strip(strip, grid, panels, n_columns, means)
    else:
        figure.text(0.5, 0.5, "No arm of a grid of settings has a score.", ha="center", va="center")
    return write_atomic(path, lambda file: figure.savefig(file, dpi=160, metadata={"Software": None}))


def _panels(means: pd.DataFrame) -> list[Panel]:
    return [*heats(means)] or [*singles(means)]


def _depth(panel: Panel) -> int:
    return len(panel.rows) if isinstance(panel, Heat) else max(4, len(panel[1]))


def _strip(strip: Any, grid: Grid, panels: list[Panel], n_columns: int, means: pd.DataFrame) -> None:
    """One grid; the strips of a contest share the scales of all `means`."""
    family = grid.family
    budget = budget_label(family.budget_axis, family.budget, family.unit)
    entrant = ", ".join([family.method, *held_fixed(family), budget])
    strip.suptitle(f"{entrant}\n{words.contest_title(grid.contest)}", fontsize=11)
    row = strip.subplots(1, n_columns, squeeze=False).ravel()
    for axes in row[len(panels) :]:
        axes.axis("off")
    for axes, panel in zip(row, panels, strict=False):
        if isinstance(panel, Heat):
            _heat(axes, panel, colour_range(means, grid.contest))
        else:
            _curve(axes, *panel, grid, score_range(means, grid.contest))


def _heat(axes: Any, heat: Heat, limits: tuple[float, float]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("", SCALE)
    axes.imshow(heat.value, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(range(len(heat.columns)), heat.columns)
    axes.set_yticks(range(len(heat.rows)), heat.rows)
    axes.set(xlabel=heat.x, ylabel=heat.y)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for (y, x), text in np.ndenumerate(np.array(heat.text())):
        axes.text(x, y, text or "–", ha="center", va="center", fontsize=8, color=INK, linespacing=1.4)


def _curve(axes: Any, factor: str, levels: pd.DataFrame, grid: Grid, limits: tuple[float, float]) -> None:
    score, colour = words.metric_of(grid.contest), words.UNIT_COLOURS[grid.family.unit]
    names = [words.level_name(factor, level) for level in levels["level"]]
    whiskers = np.nan_to_num([levels["value"] - levels["low"], levels["high"] - levels["value"]])
    places, style = range(len(names)), {"fmt": "o", "color": colour, "elinewidth": 1.2}
    if across := are_numbers(levels):
        axes.errorbar(places, levels["value"], yerr=whiskers, **style)
        axes.set_xticks(places, names)
        axes.set(xlabel=words.option_name(factor), ylabel=score, ylim=limits)
    else:
        axes.errorbar(levels["value"], places, xerr=whiskers, **style)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set(xlabel=score, ylabel=words.option_name(factor), xlim=limits)
    axes.grid(axis="y" if across else "x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
