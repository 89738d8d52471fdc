"""Score rows → one self-contained HTML page. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import yaml
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from benchmark.core.files import write_text
from benchmark.core.scores import status_line
from benchmark.report import ablation, figures, findings, learning, ledger, maps, tables, words
from benchmark.report.filled import filled
from benchmark.report.glance import glance
from benchmark.report.learning_plot import learning as learning_plot
from benchmark.report.side_plot import by_side
from benchmark.stats.champions import sizes
from benchmark.stats.contests import PRIMARY, Contest, key_caption, leading, select
from benchmark.stats.evidence import Evidence, evidence
from benchmark.stats.grids import grids
from benchmark.stats.leaderboard import headline
from benchmark.stats.leakage import leakage
from benchmark.stats.options import between
from benchmark.stats.rows import arms
from benchmark.stats.scaling import courses, laws, means, slopes
from benchmark.stats.winners import iso_flop, standings


def write_report(
    rows: pd.DataFrame,
    board: pd.DataFrame,
    predictions: pd.DataFrame | None,
    curves: pd.DataFrame,
    manifest: Mapping,
    path: Path,
    up: str = "",
) -> Path:
    """Write the page of one run.

    Args:
        rows: score rows.
        board: `leaderboard(rows)`.
        predictions: slide, donor, y, x, label, method, budget, prediction, one row per spot and entrant; may be None.
        curves: the courses of the trainings, see `benchmark.core.curves`.
        manifest: versions, data hash, commit, config: whatever says what made the rows.
        up: the way to the top of the site that the page lies in: it links there and finds Plotly's script there. "": it
            stands alone and holds the script itself, 5 MB.
    """
    contest = leading(board)[1]
    inner = between(rows, select(board, contest))  # of a large grid, shown where there is room
    brief = board[~board["method"].isin(inner)]
    costs = ledger.costs(rows)
    families = grids(rows)
    tests = evidence(rows, contest, families)
    settings, settings_plots = ablation.sections(families, tests.effects)
    learned, learned_plots = _learned(rows, curves, tests, contest)
    units, unit_plots = _units(rows, board, tests, contest, inner)
    budgets, budget_plots = _budgets(rows, brief, costs, contest)
    plots = {"leakage": figures.leakage(brief), **settings_plots, **learned_plots, **unit_plots, **budget_plots}
    page = {
        **_head(rows, manifest),
        **_ranking(board, tests, inner),
        **learned,
        **units,
        **budgets,
        **_slides(predictions, brief),
        "settings": settings,
        "sections": tables.sections(board, rows),
        "costs": ledger.cost_table(costs, rows),
        "absent": ledger.absent(rows),
        "plots": {name: _script_safe(figure.to_json()) for name, figure in plots.items() if figure},
        "up": up,
        "plotly": Markup('<script src="{}plotly.js"></script>').format(up) if up else _script(),
    }
    return write_text(path, filled("page.html", page))


def _head(rows: pd.DataFrame, manifest: Mapping) -> dict[str, Any]:
    """What was run, how it went, and what made it."""
    return {
        "datasets": ", ".join(rows["dataset"].unique()),
        "same_donor": words.same_donor(manifest.get("folds", {})),
        "status": status_line(arms(rows)),
        "failed": bool((arms(rows)["status"] == "failed").any()),
        "manifest": {
            key: yaml.safe_dump(value, sort_keys=False, allow_unicode=True).removesuffix("...\n").strip()
            for key, value in manifest.items()
        },
    }


def _ranking(board: pd.DataFrame, tests: Evidence, inner: list[str]) -> dict[str, Any]:
    """Who leads by the first key score, and which methods beat their controls."""
    heading, contest = leading(board)
    ranking = select(board, contest)
    others, lacking = (headline(board, of).drop(columns=heading, errors="ignore") for of in ("value", "status"))
    return {
        "measure": words.metric_of(contest),
        "ordered_by": words.contest_name(contest),
        "ranking": tables.ranking(ranking, others, lacking == "incomplete"),
        "inner": inner,
        "unable": tables.unable(ranking),
        "key_names": others.columns.tolist(),
        "key_caption": key_caption(board),
        "verdicts": tables.verdicts(tests.compared, board, learning.said(tests.learned)),
        "comparisons": tests.compared.to_dict("records"),
        "n_tests": tests.n_tests,
    }


def _learned(
    rows: pd.DataFrame, curves: pd.DataFrame, tests: Evidence, contest: Contest
) -> tuple[dict[str, Any], dict[str, go.Figure | None]]:
    """What the methods that tell their R² have learned; the section is absent where none does."""
    told = tests.learned
    if told.empty:
        return {"learned": []}, {}
    course = courses(rows, curves)
    by_method = laws(course)
    parts = {"learned": learning.table(told), "growth": learning.growth(told, by_method, slopes(rows, contest))}
    return parts, {"learning": learning_plot(means(course), told, by_method)}


def _units(
    rows: pd.DataFrame, board: pd.DataFrame, tests: Evidence, contest: Contest, inner: list[str]
) -> tuple[dict[str, Any], dict[str, go.Figure]]:
    """Which unit wins, what it has learned beyond smoothing, what leakage explains, and the answers at a glance."""
    leaks, standing = leakage(rows), standings(tests.matches)
    by_size = figures.iso_flop(iso_flop(rows, standing, contest), contest)
    side = by_side(board, rows, contest)
    parts = {
        "glance": glance(rows, tests, leaks, contest),
        "leakage": findings.leakage(leaks[~leaks["method"].isin(inner)]),
        "winners": findings.winners(tests.won, standing),
        "main_settings": findings.main_settings(tests.won),
        "factorial": findings.factorial(tests.crossed) if tests.crossed else None,
        "by_size": list(by_size),
        "no_part": learning.no_part(tests.learned),
        "by_side": side is not None,
    }
    return parts, by_size | ({"side": side} if side else {})


def _budgets(
    rows: pd.DataFrame, board: pd.DataFrame, costs: pd.DataFrame, contest: Contest
) -> tuple[dict[str, Any], dict[str, go.Figure]]:
    """The plots of the score against the budget, and against what was really spent."""
    curves = figures.curves(board, sizes(rows), contest)
    spent = figures.against_costs(board, costs, contest)
    return {"curves": list(curves), "spent": list(spent)}, curves | spent


def _slides(predictions: pd.DataFrame | None, board: pd.DataFrame) -> dict[str, Any]:
    """The slides with their labels and predictions; empty where the run kept none."""
    if predictions is None or predictions.empty:
        return {"slides": [], "colours": {}, "unlabelled": False}
    return {
        "slides": maps.slides(predictions, select(board, PRIMARY)),
        "colours": maps.colours(predictions),
        "unlabelled": bool(predictions["label"].isna().any()),
    }


def _script() -> Markup:
    return Markup(f"<script>{get_plotlyjs()}</script>")


def _script_safe(json: str) -> Markup:
    """JSON that may stand inside a script element: no label can close it."""
    return Markup(json.replace("<", "\\u003c"))
