"""The plots of leakage, budgets and costs, as plotly figures."""

from __future__ import annotations

import re
from itertools import cycle

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from benchmark.report.drawing import GRID, line, mark_pca, one_scale, plain, ticks, whiskers
from benchmark.report.tables import both_splits
from benchmark.report.words import DONOR, RANDOM, UNIT_COLOURS, UNITS, full_name, metric_of
from benchmark.stats.contests import Contest, select
from benchmark.stats.names import budget_label, si
from benchmark.stats.rows import ENTRANT

SIZE_IN_LABEL = re.compile(r"\.preset-[^.]+")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
COSTS = {"flops": "FLOPs spent", "spots_seen": "spots seen, repeats included", "device_seconds": "device seconds"}


def leakage(board: pd.DataFrame) -> go.Figure | None:
    """Accuracy of each method under the random-spot split and with donors held out, joined by a line."""
    pairs = both_splits(board)
    if pairs.empty:
        return None
    names = [full_name(row) for _, row in pairs.iterrows()]
    lines = go.Scatter(
        x=[x for row in pairs[["value", "value_random"]].to_numpy() for x in (*row, None)],
        y=[y for name in names for y in (name, name, None)],
        mode="lines",
        line={"color": GRID, "width": 6},
        hoverinfo="skip",
        showlegend=False,
    )
    points = [
        _points(pairs["value" + end], pairs["low" + end], pairs["high" + end], names, title, colour, symbol)
        for end, title, colour, symbol in (
            ("", "donors held out", DONOR, "circle"),
            ("_random", "random spots of the same slides", RANDOM, "diamond"),
        )
    ]
    figure = go.Figure([lines, *points])
    figure.update_xaxes(title="accuracy, k-NN probe", range=[0, 1])
    figure.update_yaxes(showgrid=False)
    return plain(figure, height=110 + 32 * len(names))


def _points(value, low, high, names, title: str, colour: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=value.tolist(),
        y=names,
        error_x=whiskers(value, low, high),
        mode="markers",
        name=title,
        marker={"color": colour, "size": 11, "symbol": symbol},
        hovertemplate="%{y}: %{x:.3f}<extra>" + title + "</extra>",
    )


def curves(board: pd.DataFrame, sizes: dict[str, set[str]], contest: Contest) -> dict[str, go.Figure]:
    """The score against the budget: one figure per trunk size on one scale, or one figure if there is one size.

    Args:
        sizes: `champions.sizes(rows)`.
    """
    if not sizes:
        figure = curve(board, contest)
        return {"curve": figure} if figure else {}
    figures = {}
    for number, (size, methods) in enumerate(sizes.items()):
        controls = board["unit"] == "none"
        figure = curve(board[board["method"].isin(methods) | controls], contest, f"trunk {size}")
        if figure:
            figures[f"curve{number}"] = figure
    return one_scale(figures, select(board, contest))


def curve(board: pd.DataFrame, contest: Contest, title: str = "") -> go.Figure | None:
    """The score against the budget. The untrained trunk stands at the left of the logarithmic axis."""
    table = select(board, contest).dropna(subset="value")
    trained = table[(table["unit"] != "none") & (table["budget"] > 0)]
    if trained.empty:
        return None
    amounts = sorted(trained["budget"].unique())
    left = amounts[0] / (amounts[1] / amounts[0] if len(amounts) > 1 else 4)
    figure = go.Figure()
    methods = _methods(trained)
    for number, (method, unit, symbol) in enumerate(methods):
        scores = table[table["method"] == method].sort_values("budget")
        beside = (amounts[-1] / left) ** (0.008 * (number - (len(methods) - 1) / 2))  # whiskers do not overlap
        name = SIZE_IN_LABEL.sub("", method) if title else method
        figure.add_trace(line(beside * scores["budget"].replace(0, left), scores, name, unit, symbol))
    axis = trained["budget_axis"].iloc[0]
    labels = ["untrained", *(si(amount).strip() for amount in amounts)]
    budget = f"{title}: budget" if title else "budget"
    figure.update_xaxes(type="log", title=f"{budget}, {UNITS[axis]}", tickvals=[left, *amounts], ticktext=labels)
    figure.update_yaxes(title=f"{metric_of(contest)}, donors held out")
    mark_pca(figure, table)
    return plain(figure, height=340 if title else 420)


def iso_flop(table: pd.DataFrame, contest: Contest) -> dict[str, go.Figure]:
    """The score against the trunk's size: one figure per unit on one scale, in it one line per budget.

    Args:
        table: `winners.iso_flop` of the contest.
    """
    budgets = sorted(table["budget"].unique())
    colours = dict(zip(budgets, sample_colorscale("Viridis", np.linspace(0.2, 0.85, len(budgets))), strict=True))
    figures = {}
    for unit in (unit for unit in UNIT_COLOURS if unit in set(table["unit"])):
        of_unit = table[table["unit"] == unit]
        figure = figures[f"isoflop_{unit}"] = go.Figure()
        for budget in sorted(of_unit["budget"].unique()):
            scores = of_unit[of_unit["budget"] == budget].sort_values("parameters")
            name = budget_label(scores["budget_axis"].iloc[0], budget, unit)
            figure.add_trace(line(scores["parameters"], scores, name, unit, "circle"))
            figure.data[-1].update(marker_color=colours[budget], line_color=colours[budget])
        figure.update_xaxes(type="log", title=f"{unit}: parameters", **ticks(table["parameters"]))
        figure.update_yaxes(title=f"{metric_of(contest)}, donors held out")
        plain(figure, height=340)
    return one_scale(figures, table)


def against_costs(board: pd.DataFrame, costs: pd.DataFrame, contest: Contest) -> dict[str, go.Figure]:
    """The score against what was really spent.

    Args:
        costs: one row per entrant, one column per cost.
    """
    table = select(board, contest).dropna(subset="value").drop(columns="spots_seen")  # it is among the costs
    trained = table[(table["unit"] != "none") & (table["budget"] > 0)].join(costs, on=ENTRANT)
    figures = {}
    for key, title in COSTS.items():
        if key not in trained or not (trained[key] > 0).any():
            continue
        figures[key] = figure = go.Figure()
        for method, unit, symbol in _methods(trained):
            scores = trained[trained["method"] == method].sort_values("budget")
            figure.add_trace(line(scores[key], scores, method, unit, symbol))
        figure.update_xaxes(type="log", title=title, **ticks(trained[key]))
        figure.update_yaxes(title=metric_of(contest))
        mark_pca(figure, table)
        plain(figure, height=300 + 15 * len(figure.data))  # two names of the legend a row
    return figures


def _methods(trained: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(method, unit, marker): the colour says the unit, the marker tells methods of one unit apart."""
    return [
        (method, unit, symbol)
        for unit in sorted(trained["unit"].unique())
        for method, symbol in zip(
            sorted(trained.loc[trained["unit"] == unit, "method"].unique()), cycle(SYMBOLS), strict=False
        )
    ]
