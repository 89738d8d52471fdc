"""The picture of a summary: mean ranks with Nemenyi's critical difference, and score against FLOPs on each dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmark.core.files import write_atomic
from benchmark.report.words import UNIT_COLOURS, contest_title, full_name, metric_of
from benchmark.stats.contests import Contest, select
from benchmark.stats.names import si
from benchmark.stats.summary_ranks import Ranks, alike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

ACROSS = 3  # panels beside one another
BEST = "#0072B2"


def summary_figure(
    board: pd.DataFrame, standings: Mapping[Contest, pd.DataFrame], ranks: Mapping[Contest, Ranks | None], path: Path
) -> Path:
    """Write a PNG. Args: as `Summary` has them."""
    from matplotlib.figure import Figure

    parts = {contest: select(board, contest) for contest in standings}
    heights = [_height(ranks[contest]) + _panels_height(part) for contest, part in parts.items()]
    figure = Figure(figsize=(11, sum(heights) or 1), layout="constrained")
    subfigures = figure.subfigures(max(len(parts), 1), 1, squeeze=False, height_ratios=heights or [1])[:, 0]
    for subfigure, (contest, part) in zip(subfigures, parts.items(), strict=False):
        ranked = ranks[contest]
        upper, lower = subfigure.subfigures(2, 1, height_ratios=(_height(ranked), _panels_height(part)))
        upper.suptitle(contest_title(contest), fontsize=12, fontweight="bold")
        if ranked:
            _mean_ranks(upper.subplots(), standings[contest], ranked)
        _fronts(lower, part, contest)
    return write_atomic(path, lambda file: figure.savefig(file, dpi=120, metadata={"Software": None}))


def _height(ranked: Ranks | None) -> float:
    return 1.6 + 0.26 * len(ranked.table) if ranked else 0.4


def _panels_height(part: pd.DataFrame) -> float:
    return 3.2 * -(-part["dataset"].nunique() // ACROSS)


def _mean_ranks(axes: Axes, standings: pd.DataFrame, ranked: Ranks) -> None:
    """Mean ranks, the best at the top; vertical bars join entrants that Nemenyi's test does not tell apart."""
    table = standings.dropna(subset="mean_rank")
    y, x = np.arange(len(table)), table["mean_rank"].to_numpy()
    colour = table["unit"].map(UNIT_COLOURS).tolist()
    filled = [c if trained else "white" for c, trained in zip(colour, table["budget"] > 0, strict=True)]
    axes.scatter(x, y, c=filled, edgecolors=colour, s=45, zorder=3)
    right = max(x.max(), x.min() + ranked.critical) + 0.3
    groups = alike(x, ranked.critical)
    step = 0.025 * (right - x.min())
    for number, (first, last) in enumerate(groups):
        axes.plot([right + number * step] * 2, [first - 0.2, last + 0.2], color="0.25", linewidth=2.5)
    axes.plot([x.min(), x.min() + ranked.critical], [-1, -1], color="0.25", linewidth=2.5)
    axes.text(x.min(), -1.25, f"critical difference {ranked.critical:.2f}", fontsize=9, va="bottom")
    axes.set_yticks(y, [full_name(row) for _, row in table.iterrows()], fontsize=9)
    axes.set(ylim=(len(table) - 0.4, -2), xlabel=f"mean rank over {ranked.n_blocks} (dataset, donor); 1 is best")
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _fronts(figure: SubFigure, part: pd.DataFrame, contest: Contest) -> None:
    """A panel for each dataset: the complete entrants whose FLOPs are known; those on the Pareto front are joined and
    named."""
    groups = list(part.groupby("dataset"))
    panels = figure.subplots(-(-len(groups) // ACROSS), ACROSS, squeeze=False).ravel()
    for axes in panels[len(groups) :]:
        axes.axis("off")
    for axes, (dataset, table) in zip(panels, groups, strict=False):
        known = table[table["flops"].notna() & (table["status"] == "ok")]
        colour = known["unit"].map(UNIT_COLOURS).tolist()
        filled = [c if trained else "white" for c, trained in zip(colour, known["budget"] > 0, strict=True)]
        axes.scatter(known["flops"], known["value"], c=filled, edgecolors=colour, s=26, zorder=2)
        front = known[known["front"]].sort_values("flops")
        axes.plot(front["flops"], front["value"], color="0.25", linewidth=1.2, zorder=1, drawstyle="steps-post")
        for _, row in front.iterrows():
            axes.annotate(
                row["method"], (row["flops"], row["value"]), xytext=(4, 5), textcoords="offset points", fontsize=8
            )
        _flop_axis(axes, known["flops"])
        axes.set_title(str(dataset), fontsize=10)
        axes.set_xlabel("pretraining FLOPs of an arm", fontsize=9)
        axes.set_ylabel(metric_of(contest), fontsize=9)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.margins(x=0.12, y=0.15)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)


def _flop_axis(axes: Axes, flops: pd.Series) -> None:
    """A logarithmic axis that has room for 0 at its left."""
    spent = np.unique(flops[flops > 0])
    if not len(spent):
        axes.set_xticks([0], ["0"])
        return
    axes.set_xscale("symlog", linthresh=spent[0] / 3, linscale=0.6)
    powers = 10.0 ** np.arange(np.floor(np.log10(spent[0])), np.ceil(np.log10(spent[-1])) + 1)
    powers = powers[powers > spent[0] / 2]  # a smaller one would touch the 0
    axes.set_xticks([0, *powers], ["0", *(si(power).strip() for power in powers)])
    axes.set_xticks([], minor=True)
