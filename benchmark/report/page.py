"""Score rows → one self-contained HTML page. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from benchmark.core.files import write_text
from benchmark.core.scores import status_line
from benchmark.report import ablation, figures, findings, ledger, maps, tables, words
from benchmark.report.glance import glance
from benchmark.stats.ablation import grids
from benchmark.stats.comparisons import compare
from benchmark.stats.contests import PRIMARY, key_caption, leading, select
from benchmark.stats.factorial import beyond_smoothing, factorial
from benchmark.stats.leaderboard import headline
from benchmark.stats.leakage import leakage
from benchmark.stats.options import between
from benchmark.stats.rows import arms
from benchmark.stats.winners import champions, iso_flop, sizes, standings, winners


def write_report(
    rows: pd.DataFrame, board: pd.DataFrame, predictions: pd.DataFrame | None, manifest: Mapping, path: Path
) -> Path:
    """Write the page of one run.

    Args:
        rows: score rows.
        board: `leaderboard(rows)`.
        predictions: slide, donor, y, x, label, method, budget, prediction, a row a spot and entrant; may be None.
        manifest: versions, data hash, commit, config: whatever says what made the rows.
    """
    name, contest = leading(board)
    ranking, short, compared = select(board, contest), headline(board), compare(rows, contest)
    others = short.drop(columns=name, errors="ignore")
    inner = between(rows, ranking)  # of a large grid, shown where there is room
    brief = board[~board["method"].isin(inner)]
    costs = ledger.costs(rows)
    spent = figures.against_costs(brief, costs, contest)
    leaks, found = leakage(rows), champions(rows)
    won, standing, crossed = winners(found), standings(found), factorial(rows)
    curves = figures.curves(brief, sizes(rows), contest)
    by_size = figures.iso_flop(iso_flop(rows, standing, contest), contest)
    settings, drawn_settings = ablation.sections(grids(rows))
    plots = {"leakage": figures.leakage(brief), **curves, **by_size, **spent, **drawn_settings}
    drawn = predictions is not None and len(predictions) > 0
    page = {
        "datasets": ", ".join(rows["dataset"].unique()),
        "same_donor": words.same_donor(manifest.get("folds", {})),
        "status": status_line(arms(rows)),
        "failed": bool((arms(rows)["status"] == "failed").any()),
        "measure": words.metric_of(contest),
        "ordered_by": words.contest_name(contest),
        "ranking": tables.ranking(ranking, others),
        "inner": inner,
        "unable": tables.unable(ranking),
        "key_names": others.columns.tolist(),
        "key_caption": key_caption(board),
        "verdicts": tables.verdicts(compared),
        "settings": settings,
        "comparisons": compared.to_dict("records"),
        "plots": {name: _script_safe(figure.to_json()) for name, figure in plots.items() if figure},
        "spent": list(spent),
        "glance": glance(rows, found, won, beyond_smoothing(rows, found), leaks, contest),
        "leakage": findings.leakage(leaks[~leaks["method"].isin(inner)]),
        "winners": findings.winners(won, standing),
        "factorial": findings.factorial(*crossed) if crossed else None,
        "curves": list(curves),
        "by_size": list(by_size),
        "sections": tables.sections(board),
        "slides": maps.slides(predictions, select(brief, PRIMARY)) if drawn else [],
        "colours": maps.colours(predictions) if drawn else {},
        "unlabelled": drawn and bool(predictions["label"].isna().any()),
        "costs": ledger.cost_table(costs, rows),
        "absent": ledger.absent(rows),
        "manifest": {
            key: yaml.safe_dump(value, sort_keys=False, allow_unicode=True).removesuffix("...\n").strip()
            for key, value in manifest.items()
        },
        "plotly": Markup(get_plotlyjs()),
    }
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return write_text(path, environment.get_template("template.html").render(page))


def _script_safe(json: str) -> Markup:
    """JSON that may stand inside a script element: no label can close it."""
    return Markup(json.replace("<", "\\u003c"))
