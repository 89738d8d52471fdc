"""Arms of a small experiment, on trunks that train in an instant."""

from benchmark.core.config import Config
from benchmark.core.typed_values import build
from benchmark.experiment.fit import run_arms

PATCH = {"method": "patch", "options": {"size": 4, "n_channels": 16, "preset": "micro"}}
SPOT = {"method": "spot_genes", "options": {"n_tokens": 16, "preset": "micro"}}
DOMAIN = {"task": "domain", "options": {"min_support": 2}}  # the test spots of a small slide are few
SETTINGS = {
    "name": "small",
    "dataset": {"name": "simulated"},
    "methods": ["random", "gene_mean", PATCH, SPOT],
    "budget": {"axis": "flops", "amounts": [0, 1e8]},
    "splits": {"donor_folds": 3, "random_repeats": 2, "block_repeats": 1, "block_cells": 4, "block_buffer": 1},
    "seeds": [0],
    "neighbours": [0],
    "tasks": [DOMAIN, "clustering", {"task": "reconstruction", "options": {"sizes": [2, 4], "n_genes": 10}}],
}


def config(**changes) -> Config:
    """The small experiment with these keys changed."""
    return build(Config, SETTINGS | changes, "test")


def run(settings, corpus, results, method, fold="fold0", attempt=1) -> tuple[list[dict], list[tuple]]:
    """The records of the arms of a method in a fold, and all reports of their progress."""
    reports = []
    records = run_arms(settings, corpus, results, [(method, fold)], lambda *report: reports.append(report), attempt)
    return records, reports
