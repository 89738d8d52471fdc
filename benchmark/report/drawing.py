"""What the plots of the page are made of: lines, whiskers, axes and a layout that fits a light and a dark page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from benchmark.report.words import UNIT_COLOURS
from benchmark.stats.names import si

GRID = "rgba(128,128,128,0.25)"


def line(x: pd.Series, scores: pd.DataFrame, method: str, unit: str, symbol: str) -> go.Scatter:
    """The scores of a method with their intervals, joined, in the colour of its unit; incomplete ones are hollow."""
    return go.Scatter(
        x=x.tolist(),
        y=scores["value"].tolist(),
        error_y=whiskers(scores["value"], scores["low"], scores["high"]),
        mode="lines+markers",
        name=method,
        legendgroup=method,
        marker={
            "color": UNIT_COLOURS[unit],
            "size": 9,
            "symbol": [symbol + "-open" * (status == "incomplete") for status in scores["status"]],
        },
        line={"color": UNIT_COLOURS[unit], "width": 2},
        hovertemplate="%{y:.3f} at %{x:.3s}<extra>" + method + "</extra>",
    )


def whiskers(value: pd.Series, low: pd.Series, high: pd.Series) -> dict:
    """Error bars from low to high; none where there is no interval."""
    above, below = (high - value).fillna(0), (value - low).fillna(0)
    return {"array": above.tolist(), "arrayminus": below.tolist(), "thickness": 1.5, "width": 3}


def ticks(values: pd.Series) -> dict:
    """Ticks of a logarithmic axis: 1, 2, 5, 10, … in the range of `values`, or powers of ten in a wide range."""
    low, high = np.log10(values[values > 0].min() / 1.2), np.log10(values.max() * 1.2)
    powers = 10.0 ** np.arange(np.floor(low), np.ceil(high))
    marks = np.outer(powers, [1, 2, 5] if high - low < 2 else [1]).ravel()
    marks = marks[(marks >= 10**low) & (marks <= 10**high)]
    return {"tickvals": marks.tolist(), "ticktext": [si(mark).strip() for mark in marks], "range": [low, high]}


def one_scale(figures: dict[str, go.Figure], table: pd.DataFrame) -> dict[str, go.Figure]:
    """The same vertical range, that of all scores of `table`, for figures that stand side by side."""
    if len(figures) > 1:
        low, high = table[["value", "low"]].min().min(), table[["value", "high"]].max().max()
        margin = 0.05 * (high - low)
        for figure in figures.values():
            figure.update_yaxes(range=[low - margin, high + margin])
    return figures


def mark_pca(figure: go.Figure, table: pd.DataFrame) -> None:
    """A dashed line at the score of PCA, where the table has one."""
    for value in table.loc[table["method"] == "pca", "value"]:
        figure.add_hline(y=value, line={"dash": "dash", "color": UNIT_COLOURS["none"], "width": 1.5})
        figure.add_annotation(
            text="PCA", x=1, xref="x domain", y=value, showarrow=False, xanchor="right", yanchor="bottom"
        )


def plain(figure: go.Figure, height: int) -> go.Figure:
    """No background, and no colour for text: the page gives both."""
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
