"""The score against the side of a sample, where a run varies it: a line a budget, over all units at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from benchmark.report.drawing import line, plain
from benchmark.report.words import UNIT_COLOURS, metric_of
from benchmark.stats.contests import Contest, select
from benchmark.stats.names import budget_label
from benchmark.stats.options import entries, level, rest

OPTION = "side"


def by_side(board: pd.DataFrame, rows: pd.DataFrame, contest: Contest) -> go.Figure | None:
    """None where no method has entries that differ in nothing but their side. The best PCA is a dashed line.

    The plots of settings show one unit each, at its largest budget; a side is a spot, a patch or a slide.

    Args:
        board: `leaderboard(rows)`.
    """
    options = entries(rows)
    sided = pd.DataFrame(
        [(label, level(entry, OPTION), rest(entry, OPTION)) for label, entry in options.items() if OPTION in entry],
        columns=["method", OPTION, "rest"],
    )
    sided = sided[sided.groupby("rest")[OPTION].transform("nunique") > 1]
    table = select(board, contest).dropna(subset="value").merge(sided, on="method")
    if table.empty:
        return None
    order = [each.text for each in sorted(set(table[OPTION]))]
    keys = ["rest", "budget_axis", "budget"]
    lines = {key: part.sort_values(OPTION) for key, part in table.groupby(keys)}
    colours = sample_colorscale("Viridis", np.linspace(0.0, 0.85, len(lines)))
    figure = go.Figure()
    for ((others, axis, budget), part), colour in zip(lines.items(), colours, strict=True):
        name = "untrained" if budget == 0 else budget_label(axis, budget, "any")
        name += f", {others}" if table["rest"].nunique() > 1 else ""
        figure.add_trace(line(part[OPTION].map(lambda each: each.text), part, name, part["unit"].iloc[0], "circle"))
        figure.data[-1].update(marker_color=colour, line_color=colour, hovertemplate="%{y:.3f} at %{x}<extra></extra>")
    _mark_best_pca(
        figure, select(board, contest), [label for label, entry in options.items() if entry["method"] == "pca"]
    )
    figure.update_xaxes(title="side of a sample, cells", type="category", categoryorder="array", categoryarray=order)
    figure.update_yaxes(title=f"{metric_of(contest)}, donors held out")
    return plain(figure, height=420)


def _mark_best_pca(figure: go.Figure, table: pd.DataFrame, labels: list[str]) -> None:
    """A dashed line at the score of the best ranked of these labels."""
    ranked = table[table["method"].isin(labels)].dropna(subset=["value", "rank"]).sort_values("rank")
    for label, value in ranked[["method", "value"]].head(1).itertuples(index=False):
        figure.add_hline(y=value, line={"dash": "dash", "color": UNIT_COLOURS["none"], "width": 1.5})
        figure.add_annotation(
            text=label, x=1, xref="x domain", y=value, showarrow=False, xanchor="right", yanchor="bottom"
        )
