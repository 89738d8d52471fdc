"""The committed reference runs: their tables follow from their raw scores, and the README quotes the first."""

import json
import re

import pandas as pd
import pytest

from benchmark.core.scores import read_table, status_line
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.rows import arms
from tests.helpers.paths import ROOT

REFERENCE = ROOT / "results" / "reference"
REFERENCES = sorted(path.parent for path in REFERENCE.rglob("scores.parquet"))
by_run = pytest.mark.parametrize("folder", REFERENCES, ids=lambda path: path.relative_to(REFERENCE).as_posix())


@by_run
def test_the_leaderboard_follows_from_the_raw_scores(folder):
    rebuilt = leaderboard(read_table(folder / "scores.parquet"))
    kept = pd.read_csv(folder / "leaderboard.csv", keep_default_na=False)
    assert len(rebuilt) == len(kept)
    for column in ("value", "low", "high"):
        pd.testing.assert_series_equal(rebuilt[column], pd.to_numeric(kept[column]), check_dtype=False)


@by_run
def test_every_arm_is_accounted_for_and_no_donor_is_on_both_sides(folder):
    rows = arms(pd.read_parquet(folder / "scores.parquet"))
    manifest = json.loads((folder / "manifest.json").read_text())
    config = manifest["config"]
    unit = rows.groupby("method")["unit"].first()  # of each label: a method of then may be there no more
    trained = sum(unit[method["label"]] != "none" for method in config["methods"])
    entrants = trained * len(config["budget"]["amounts"]) + len(config["methods"]) - trained
    assert status_line(rows).startswith(f"{entrants * len(config['seeds']) * len(manifest['folds'])} arms expected")
    for name, fold in manifest["folds"].items():
        assert fold["transductive"] == (name == "all")
        assert not fold["shared"]["groups"] or name == "all"


def test_the_readme_quotes_the_reference_run():
    board = pd.read_csv(REFERENCE / "leakage" / "her2st" / "leaderboard.csv", keep_default_na=False)
    probe = board[(board["task"] == "domain") & (board["setting"] == "knn") & (board["neighbours"] == 0)]

    def value(name, split, metric):
        row = probe[(probe["name"] == name) & (probe["split"] == split) & (probe["metric"] == metric)]
        return f"{float(row['value'].max()):.2f}"  # of several budgets, the README quotes the best

    quoted = re.findall(
        r"^\| [^|]+ \(`([^`]+)`\) \| (\S+) \| (\S+) \| (\S+) \|$", (ROOT / "README.md").read_text(), re.M
    )
    assert len(quoted) >= 4
    for name, at_random, held_out, f1 in quoted:
        assert at_random == value(name, "random", "accuracy")
        assert held_out == value(name, "donor", "accuracy")
        assert f1 == value(name, "donor", "macro_f1")


QUOTED = {  # in the README's first table: the run, but for its dataset, and the method
    "one spot": ("context/", "context.side-1"),
    "4 × 4 cells": ("context/", "context.side-4"),
    "8 × 8 cells": ("context/", "context.side-8"),
    "16 × 16 cells": ("context/", "context.side-16"),
    "the slide": ("context/", "context.side-slide"),
    "8 × 8 cells, untrained": ("context/", "context.side-8"),
    "PCA": ("context/", "pca_strong"),
    "PCA, mean over 18 neighbours": ("context/", "pca_strong_18nn"),
    "GraphPCA": ("peers/", "graphpca"),
    "CellCharter": ("peers/", "cellcharter"),
    "BANKSY": ("peers_banksy/", "banksy"),
    "Novae, 3 epochs": ("peers/", "novae"),
}


def test_the_readme_quotes_the_dial():
    """Macro-F1 of the k-NN with its interval, at 0.4 TFLOPs, of each dataset that heads a column."""
    lines = (ROOT / "README.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| a sample holds |"))
    datasets = [cell.strip() for cell in lines[start].split("|")[2:-1]]
    quoted = [line for line in lines[start + 2 : start + 2 + len(QUOTED)]]
    assert len(datasets) >= 2 and [line.split("|")[1].strip() for line in quoted] == list(QUOTED)
    for column, dataset in enumerate(datasets):
        for line in quoted:
            name = line.split("|")[1].strip()
            run, method = QUOTED[name]
            board = pd.read_csv(REFERENCE / f"{run}{dataset}" / "leaderboard.csv", keep_default_na=False)
            shown = (board["task"] == "domain") & (board["setting"] == "knn") & (board["metric"] == "macro_f1")
            trained = method.startswith("context") and "untrained" not in name
            asked = (board["neighbours"] == 0) & (board["method"] == method) & (board["budget"] == 4e11 * trained)
            row = board[shown & asked].iloc[0]
            value, low, high = (f"{float(row[what]):.2f}" for what in ("value", "low", "high"))
            assert line.split("|")[2 + column].strip() == f"{value} [{low}, {high}]"
