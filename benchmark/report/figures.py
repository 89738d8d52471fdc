"""The plots of the page, as plotly figures that fit a light and a dark page alike."""

from __future__ import annotations

import re
from itertools import cycle

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from benchmark.report.tables import both_splits
from benchmark.report.words import DONOR, RANDOM, UNIT_COLOURS, UNITS, full_name, metric_of
from benchmark.stats.contests import Contest, select
from benchmark.stats.names import budget_label, si
from benchmark.stats.rows import ENTRANT

GRID = "rgba(128,128,128,0.25)"
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
    """The score against the budget, one figure a trunk size (`winners.sizes`) on one scale, or one in all."""
    found = {"curve": curve(board, contest)} if not sizes else {}
    for place, (size, methods) in enumerate(sizes.items()):
        controls = board["unit"] == "none"
        found[f"curve{place}"] = curve(board[board["method"].isin(methods) | controls], contest, f"trunk {size}")
    found = {name: figure for name, figure in found.items() if figure}
    return _one_scale(found, select(board, contest))


def curve(board: pd.DataFrame, contest: Contest, title: str = "") -> go.Figure | None:
    """The score against the budget; the untrained trunk stands at the left of the logarithmic axis."""
    table = select(board, contest).dropna(subset="value")
    trained = table[(table["unit"] != "none") & (table["budget"] > 0)]
    if trained.empty:
        return None
    amounts = sorted(trained["budget"].unique())
    left = amounts[0] / (amounts[1] / amounts[0] if len(amounts) > 1 else 4)
    figure = go.Figure()
    methods = _methods(trained)
    for place, (method, unit, symbol) in enumerate(methods):
        line = table[table["method"] == method].sort_values("budget")
        beside = (amounts[-1] / left) ** (0.008 * (place - (len(methods) - 1) / 2))  # whiskers do not overlap
        name = SIZE_IN_LABEL.sub("", method) if title else method
        figure.add_trace(_line(beside * line["budget"].replace(0, left), line, name, unit, symbol))
    axis = trained["budget_axis"].iloc[0]
    ticks = ["untrained", *(si(amount).strip() for amount in amounts)]
    budget = f"{title}: budget" if title else "budget"
    figure.update_xaxes(type="log", title=f"{budget}, {UNITS[axis]}", tickvals=[left, *amounts], ticktext=ticks)
    figure.update_yaxes(title=f"{metric_of(contest)}, donors held out")
    _mark_pca(figure, table)
    return plain(figure, height=340 if title else 420)


def iso_flop(table: pd.DataFrame, contest: Contest) -> dict[str, go.Figure]:
    """The score against the trunk's size at each budget: a figure a unit, a line a budget, on one scale.

    Args:
        table: `winners.iso_flop` of the contest.
    """
    budgets = sorted(table["budget"].unique())
    colours = dict(zip(budgets, sample_colorscale("Viridis", np.linspace(0.2, 0.85, len(budgets))), strict=True))
    figures = {}
    for unit in (unit for unit in UNIT_COLOURS if unit in set(table["unit"])):
        its = table[table["unit"] == unit]
        figure = figures[f"isoflop_{unit}"] = go.Figure()
        for budget in sorted(its["budget"].unique()):
            line = its[its["budget"] == budget].sort_values("parameters")
            name = budget_label(line["budget_axis"].iloc[0], budget, unit)
            figure.add_trace(_line(line["parameters"], line, name, unit, "circle"))
            figure.data[-1].update(marker_color=colours[budget], line_color=colours[budget])
        figure.update_xaxes(type="log", title=f"{unit}: parameters", **_ticks(table["parameters"]))
        figure.update_yaxes(title=f"{metric_of(contest)}, donors held out")
        plain(figure, height=340)
    return _one_scale(figures, table)


def _one_scale(figures: dict[str, go.Figure], table: pd.DataFrame) -> dict[str, go.Figure]:
    """The same vertical range for figures that stand side by side."""
    if len(figures) > 1:
        low, high = table[["value", "low"]].min().min(), table[["value", "high"]].max().max()
        margin = 0.05 * (high - low)
        for figure in figures.values():
            figure.update_yaxes(range=[low - margin, high + margin])
    return figures


def against_costs(board: pd.DataFrame, costs: pd.DataFrame, contest: Contest) -> dict[str, go.Figure]:
    """The score against what was really spent; `costs` has a row an entrant and a column a cost."""
    table = select(board, contest).dropna(subset="value").drop(columns="spots_seen")  # it is among the costs
    trained = table[(table["unit"] != "none") & (table["budget"] > 0)].join(costs, on=ENTRANT)
    figures = {}
    for key, title in COSTS.items():
        if key not in trained or not (trained[key] > 0).any():
            continue
        figures[key] = figure = go.Figure()
        for method, unit, symbol in _methods(trained):
            line = trained[trained["method"] == method].sort_values("budget")
            figure.add_trace(_line(line[key], line, method, unit, symbol))
        figure.update_xaxes(type="log", title=title, **_ticks(trained[key]))
        figure.update_yaxes(title=metric_of(contest))
        _mark_pca(figure, table)
        plain(figure, height=300 + 15 * len(figure.data))  # two names of the legend a row
    return figures


def _ticks(values: pd.Series) -> dict:
    """1, 2, 5, 10, … within the range of `values`, or powers of ten where those would crowd."""
    low, high = np.log10(values[values > 0].min() / 1.2), np.log10(values.max() * 1.2)
    powers = 10.0 ** np.arange(np.floor(low), np.ceil(high))
    ticks = np.outer(powers, [1, 2, 5] if high - low < 2 else [1]).ravel()
    ticks = ticks[(ticks >= 10**low) & (ticks <= 10**high)]
    return {"tickvals": ticks.tolist(), "ticktext": [si(tick).strip() for tick in ticks], "range": [low, high]}


def _methods(trained: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(method, unit, marker): the colour says the unit, the marker tells methods of one unit apart."""
    found = []
    for unit, methods in trained.groupby("unit")["method"]:
        found += [(method, unit, symbol) for method, symbol in zip(sorted(set(methods)), cycle(SYMBOLS), strict=False)]
    return found


def _line(x: pd.Series, line: pd.DataFrame, method: str, unit: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=x.tolist(),
        y=line["value"].tolist(),
        error_y=whiskers(line["value"], line["low"], line["high"]),
        mode="lines+markers",
        name=method,
        legendgroup=method,
        marker={"color": UNIT_COLOURS[unit], "size": 9, "symbol": symbol},
        line={"color": UNIT_COLOURS[unit], "width": 2},
        hovertemplate="%{y:.3f} at %{x:.3s}<extra>" + method + "</extra>",
    )


def whiskers(value: pd.Series, low: pd.Series, high: pd.Series) -> dict:
    above, below = (high - value).fillna(0), (value - low).fillna(0)
    return {"array": above.tolist(), "arrayminus": below.tolist(), "thickness": 1.5, "width": 3}


def _mark_pca(figure: go.Figure, table: pd.DataFrame) -> None:
    for value in table.loc[table["method"] == "pca", "value"]:
        figure.add_hline(y=value, line={"dash": "dash", "color": UNIT_COLOURS["none"], "width": 1.5})
        figure.add_annotation(
            text="PCA", x=1, xref="x domain", y=value, showarrow=False, xanchor="right", yanchor="bottom"
        )


def plain(figure: go.Figure, height: int) -> go.Figure:
    """No background and no colour of its own for text: the page gives both."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "maxheight": 1},
        font={"family": "system-ui, sans-serif", "size": 13},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True, linecolor=GRID)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True, linecolor=GRID)
    return figure
