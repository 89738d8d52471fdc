"""The picture of the README: what each split rewards, and a slide as each method sees it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmark.core.files import write_atomic
from benchmark.report.maps import colours, pixel_of
from benchmark.report.tables import at_largest_budget, both_splits
from benchmark.report.words import DONOR, RANDOM, SPLITS, UNIT_COLOURS, contest_name, full_name
from benchmark.stats.contests import PRIMARY, leading, measured_key_contests, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

N_MAPS = 6
LETTERS = 28  # of a line of a map's title
MOST_PANELS = 3  # of scores, where there are no maps


def readme_figure(board: pd.DataFrame, predictions: pd.DataFrame, path: Path, one_donor: bool = False) -> Path:
    """Write a PNG, which GitHub shows on light and dark pages alike.

    Left: accuracy under both splits, if the run has both. Right: the slide with the most labels, with its labels and
    five predictions. If the run has no predictions: the key scores of every entrant.

    Args:
        board: a leaderboard.
        predictions: slide, donor, y, x, label, method, budget, prediction, one row per spot and entrant.
        one_donor: whether other slides of the held-out slides' donor were learned from.
    """
    held_out = "held-out slides, same donor" if one_donor else SPLITS["donor"]
    brief = at_largest_budget(board)
    figure = _seen(brief, predictions, held_out) if len(predictions) else _scored(brief, held_out)
    return write_atomic(path, lambda file: figure.savefig(file, dpi=160, metadata={"Software": None}))


def _seen(board: pd.DataFrame, predictions: pd.DataFrame, held_out: str) -> Figure:
    from matplotlib.figure import Figure

    pairs = both_splits(board)
    figure = Figure(figsize=(6, 4.6) if pairs.empty else (11, 4.6), layout="constrained")
    if not pairs.empty:
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.1))[0]
        _dumbbells(left.subplots(), pairs, held_out)
    _maps(figure if pairs.empty else right, predictions, select(board, leading(board)[1]))
    return figure


def _scored(board: pd.DataFrame, held_out: str) -> Figure:
    from matplotlib.figure import Figure

    contests = list(measured_key_contests(board).values())[:MOST_PANELS] or [PRIMARY]
    n_entrants = board.groupby(["method", "budget"]).ngroups
    figure = Figure(figsize=(6.5 * len(contests), 1.2 + 0.28 * n_entrants), layout="constrained")
    for axes, contest in zip(figure.subplots(1, len(contests), squeeze=False)[0], contests, strict=True):
        if contest.lower_is_better:  # one very large error would hide the others
            axes.set_xscale("symlog", linthresh=1)
        _ranked(axes, select(board, contest).dropna(subset="value"))
        title = contest_name(contest).replace(SPLITS["donor"], held_out)
        axes.set_xlabel("\n(".join(title.rsplit(" (", 1)))
    return figure


def _dumbbells(axes: Axes, pairs: pd.DataFrame, held_out: str) -> None:
    """Both accuracies of each entrant, joined by a line."""
    y = np.arange(len(pairs))
    axes.hlines(y, pairs["value"], pairs["value_random"], color="0.85", linewidth=5, zorder=1)
    for end, colour, marker, title in (
        ("", DONOR, "o", held_out),
        ("_random", RANDOM, "D", "random spots of the same slides"),
    ):
        value, low, high = (pairs[column + end] for column in ("value", "low", "high"))
        whiskers = np.nan_to_num([value - low, high - value])
        axes.errorbar(value, y, xerr=whiskers, fmt=marker, color=colour, label=title, markersize=7, elinewidth=1.2)
    axes.set_yticks(y, [full_name(row) for _, row in pairs.iterrows()])
    axes.set(xlim=(0, 1), xlabel="accuracy of a k-NN probe")
    _bare(axes)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2, frameon=False, handletextpad=0.2)


def _ranked(axes: Axes, ranking: pd.DataFrame) -> None:
    """Each entrant with its interval, the best at the top. An entrant without training is hollow."""
    y = np.arange(len(ranking))[::-1]
    whiskers = np.nan_to_num([ranking["value"] - ranking["low"], ranking["high"] - ranking["value"]])
    colour = ranking["unit"].map(UNIT_COLOURS)
    axes.hlines(y, ranking["value"] - whiskers[0], ranking["value"] + whiskers[1], color=colour, linewidth=1.5)
    filled = colour.where(ranking["budget"] > 0, "white")
    axes.scatter(ranking["value"], y, c=filled, edgecolors=colour.tolist(), s=45, zorder=2)
    axes.set_yticks(y, [full_name(row) for _, row in ranking.iterrows()])
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _maps(figure: FigureBase, predictions: pd.DataFrame, ranking: pd.DataFrame) -> None:
    """One slide with its labels and the predictions of `_shown`."""
    labelled = predictions.dropna(subset="label")
    slide = labelled["slide"].value_counts().sort_index(kind="stable").idxmax()
    spots = dict(list(predictions[predictions["slide"] == slide].groupby(["method", "budget"])))
    palette = colours(predictions)
    panels = [(f"labels of slide\n{slide}", next(iter(spots.values())), "label")]
    panels += [
        (_broken(full_name(row)), spots[row["method"], row["budget"]], "prediction")
        for _, row in _shown(ranking).iterrows()
        if (row["method"], row["budget"]) in spots
    ]
    grid = figure.subplots(2, N_MAPS // 2, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, (title, table, column) in zip(grid, panels, strict=False):
        x, y = table["x"].to_numpy(), table["y"].to_numpy()
        size = 9000 * max(1, pixel_of(table)) ** 2 / max(np.ptp(x), np.ptp(y)) ** 2
        axes.scatter(x, y, s=size, c=table[column].map(palette).fillna("0.9"), linewidths=0)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.set_title(title, fontsize=9)
    handles = [grid[0].scatter([], [], c=colour, label=label, s=40) for label, colour in palette.items()]
    widest = 0.5 + 0.08 * max(map(len, palette))  # inches: the mark, and the letters of the longest label
    ncols = int(np.clip(figure.bbox.width / figure.dpi / widest, 1, min(len(handles), 3)))
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, frameon=False, fontsize=9)


def _broken(title: str) -> str:
    """The title in lines that a map is wide enough for. Names of settings are long: they break after "." and "+"."""
    parts = title.replace(" ", "\xa0").split(",\xa0")
    words = [re.sub(r"(?<=[.+])(?=\D)", " ", part) for part in parts]
    lines = [textwrap.wrap(word, LETTERS, break_on_hyphens=False) for word in words]
    return ",\n".join("\n".join(of_part).replace(" ", "") for of_part in lines).replace("\xa0", " ")


def _shown(ranking: pd.DataFrame) -> pd.DataFrame:
    """PCA, the best trained method of each unit, and coordinates."""
    trained = ranking[(ranking["unit"] != "none") & (ranking["budget"] > 0)].drop_duplicates("unit")
    controls = [ranking[ranking["method"] == name] for name in ("pca", "coordinates")]
    return pd.concat([controls[0], trained, controls[1]])[: N_MAPS - 1]
