"""The plot of what was learned: R² on held-out donors against the FLOPs spent, with the fitted laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from benchmark.report import words
from benchmark.report.drawing import plain, ticks, whiskers
from benchmark.stats.scaling import Law

GREY = words.UNIT_COLOURS["none"]
BEYOND = 10.0  # a law is drawn to this multiple of the most FLOPs spent
KINDS = {
    "on the way of a training": {"width": 1, "color": GREY},
    "best untaught predictor": {"width": 1.5, "dash": "dash", "color": GREY},
    "fitted law": {"width": 1.5, "dash": "dot", "color": GREY},
}


def learning(points: pd.DataFrame, told: pd.DataFrame, laws: dict[str, Law]) -> go.Figure | None:
    """A line a method through the ends of its trainings; None where no training has points.

    Args:
        points: `scaling.means`.
        told: `learned.learned`.
        laws: `scaling.laws`.
    """
    trained = points[points["flops"] > 0]
    if trained.empty:
        return None
    methods = words.in_order(trained["method"], ())
    colours = sample_colorscale("Viridis", np.linspace(0.0, 0.85, len(methods)))
    least, most = trained["flops"].min(), trained["flops"].max()
    figure, lines = go.Figure(), []
    for method, colour in zip(methods, colours, strict=True):
        of_method = trained[trained["method"] == method]
        figure.add_traces(_points(of_method, method, colour))
        best = told.loc[told["method"] == method].sort_values("budget")["untaught_value"].iloc[-1]
        figure.add_trace(_line([least, most], [best, best], method, colour, "best untaught predictor"))
        lines += _law(laws[method], least, most, method, colour) if method in laws else []
    figure.add_traces(lines)
    figure.add_traces([_legend(kind) for kind in KINDS])
    figure.add_vrect(x0=most, x1=BEYOND * most, fillcolor=GREY, opacity=0.12, line_width=0)
    figure.add_annotation(
        text="extrapolated: no run", x=0.5 * np.log10(BEYOND) + np.log10(most), y=1, yref="paper", showarrow=False
    )
    shown = [
        trained[["value", "low", "high"]].to_numpy().ravel(),
        *(line.y for line in lines if line.y[-1] > line.y[0]),
    ]
    low, high = np.nanmin([*trained["value"], 0.0]), np.nanmax(np.concatenate([*shown, [0.0]]))
    room = 0.06 * (high - low)
    axis = ticks(pd.Series([least, BEYOND * most]))
    figure.update_xaxes(type="log", title="FLOPs spent on pretraining", **axis)
    figure.update_yaxes(title="R² of the objective, held-out donors", range=[low - room, high + 2 * room])
    return plain(figure, height=520)


def _points(of_method: pd.DataFrame, method: str, colour: str) -> list[go.Scatter]:
    """The ways of the trainings, thin, and their ends, full, with their intervals."""
    ends = of_method[of_method["end"]].sort_values("flops")
    ways = [way.sort_values("flops") for _, way in of_method.groupby("budget") if len(way) > 1]
    thin = [
        _line(way["flops"].tolist(), way["value"].tolist(), method, colour, "on the way of a training") for way in ways
    ]
    full = go.Scatter(
        x=ends["flops"].tolist(),
        y=ends["value"].tolist(),
        error_y=whiskers(ends["value"], ends["low"], ends["high"]),
        mode="lines+markers",
        name=method,
        legendgroup=method,
        marker={"color": colour, "size": 10},
        line={"color": colour, "width": 2.5},
        hovertemplate="R² %{y:.3f} at %{x:.3s}<extra>" + method + "</extra>",
    )
    return [*thin, full]


def _law(law: Law, least: float, most: float, method: str, colour: str) -> list[go.Scatter]:
    """The fitted law over the FLOPs that were spent, and beyond them in a lighter dash; none where none was fitted."""
    if np.isnan(law.slope):
        return []
    lines = []
    for first, last in ((least, most), (most, BEYOND * most)):
        x = np.geomspace(first, last, 20)
        y = 1 - 10 ** (law.at + law.slope * np.log10(x / law.flops))
        lines.append(_line(x.tolist(), y.tolist(), method, colour, "fitted law"))
    lines[1].update(opacity=0.45, line_dash="dash", hovertemplate="%{y:.3f}<extra>" + method + ", extrapolated</extra>")
    return lines


def _line(x: list[float], y: list[float], method: str, colour: str, kind: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        legendgroup=method,
        showlegend=False,
        line=KINDS[kind] | {"color": colour},
        hovertemplate="%{y:.3f}<extra>" + f"{method}, {kind}" + "</extra>",
    )


def _legend(kind: str) -> go.Scatter:
    """What a kind of line means, in grey."""
    return go.Scatter(x=[None], y=[None], mode="lines", name=kind, line=KINDS[kind])
