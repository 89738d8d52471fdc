"""A whole tiny run in this process: arms fitted, scored, and their score rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.core.config import Config
from benchmark.core.scores import read_rows, write_rows
from benchmark.core.typed_values import build
from benchmark.experiment.check import check_methods
from benchmark.experiment.fit import run_arms
from benchmark.experiment.score import score_arms
from benchmark.testing.tissue import scratch

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


def tiny_run(corpus: Corpus, methods: list[Any], tasks: list[Any], amounts: list[float]) -> pd.DataFrame:
    """Score rows of these methods (entries of a config) on these tasks: two folds of donors, one seed."""
    settings = {
        "name": "check",
        "dataset": {"name": "simulated"},
        "methods": methods,
        "tasks": tasks,
        "budget": {"axis": "flops", "amounts": amounts},
        "splits": {"donor_folds": 2, "random_repeats": 0},
        "seeds": [0],
        "neighbours": [0],
        "precision": "fp32",
    }
    config, results = build(Config, settings, "check"), scratch()
    pairs = [(method.label, fold) for method in config.methods for fold in ("fold0", "fold1")]
    check_methods(config, corpus, pairs)
    records = run_arms(config, corpus, results, pairs, lambda *news: None)
    rows, _ = score_arms(config, corpus, results, records)
    return read_rows([write_rows(results / "scores.json", rows)])


def reasons(rows: pd.DataFrame) -> str:
    """Why something of a run has failed; empty where nothing has."""
    return "; ".join(sorted(set(rows.loc[rows["status"] == "failed", "reason"])))
