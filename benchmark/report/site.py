"""The front page of the site: the answer in a sentence and a picture, the board, and where everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from benchmark.core.scores import status_line
from benchmark.report import site_board, site_picture
from benchmark.report.filled import filled
from benchmark.report.site_dataset import Kept
from benchmark.report.site_names import dataset_page, method_page, run_folder
from benchmark.report.words import same_donor
from benchmark.stats.contests import Contest, leading
from benchmark.stats.overall import overall
from benchmark.stats.rows import arms

# What smoothing or PCA reach there is not what they reach on the dataset by itself.
MIXED = "pretrained on several datasets, where baselines have only the genes that all share: no part of the answer."


class Found(NamedTuple):
    """What all runs together hold. A table is what scores compare within: one dataset, one protocol.

    Attributes:
        rows: score rows, whose `dataset` is the table.
        board: as `boards` makes it.
        contests: what the tables show, in their order.
        tissue: table → dataset.
        plugins: name of an entrant → its plugin.
    """

    rows: pd.DataFrame
    board: pd.DataFrame
    contests: Sequence[Contest]
    tissue: Mapping[str, str]
    plugins: Mapping[str, str]


def front_html(found: Found, runs: Sequence[Kept]) -> str:
    """The page as HTML."""
    contest = leading(found.board)[1]
    mixed = [run.name for run in runs if len(run.manifest.get("config", {}).get("datasets") or ()) > 1]
    alone = found.rows[~found.rows["run"].isin(mixed)]
    of_units = overall(alone, contest, found.tissue)
    sections = site_board.sections(found.board, found.contests, found.plugins, found.tissue)
    every = arms(pd.concat([run.rows for run in runs], ignore_index=True))
    page: dict[str, Any] = {
        "up": "",
        "title": "What should one training sample be?",
        "status": status_line(every),
        "failed": bool((every["status"] == "failed").any()),
        "answer": site_picture.answer(of_units, found.tissue, contest),
        "notes": [*_same_donors(runs), *(f"{name}: {MIXED}" for name in mixed)],
        "picture": site_picture.picture(of_units, found.tissue, contest),
        "sections": sections,
        "choices": site_board.choices(sections),
        "methods": [(name, method_page(name)) for name in sorted(set(found.plugins.values()))],
        "datasets": [(name, dataset_page(name)) for name in sorted(set(found.tissue.values()))],
        "runs": [{"name": run.name, "folder": run_folder(run.name), "scores": run.scores} for run in runs],
    }
    return filled("site_front.html", page)


def _same_donors(runs: Sequence[Kept]) -> list[str]:
    """Which runs hold out slides of donors that they learn from, one line for each warning."""
    by_note: dict[str, list[str]] = {}
    for run in runs:
        if note := same_donor(run.manifest.get("folds", {})):
            by_note.setdefault(note, []).append(run.name)
    return [f"{', '.join(names)}: {note}" for note, names in by_note.items()]
