"""The committed reference runs: their tables follow from their raw scores, and the README quotes the first."""

import json
import re

import pandas as pd
import pytest

from benchmark.core import registry
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
    units = [registry.make("methods", method["method"], method["options"]).unit for method in config["methods"]]
    trained = sum(unit != "none" for unit in units)
    entrants = trained * len(config["budget"]["amounts"]) + len(config["methods"]) - trained
    assert status_line(rows).startswith(f"{entrants * len(config['seeds']) * len(manifest['folds'])} arms expected")
    for name, fold in manifest["folds"].items():
        assert fold["transductive"] == (name == "all")
        assert not fold["shared"]["groups"] or name == "all"


def test_the_readme_quotes_the_reference_run():
    board = pd.read_csv(REFERENCE / "her2st" / "leaderboard.csv", keep_default_na=False)
    probe = board[(board["task"] == "domain") & (board["setting"] == "knn") & (board["neighbours"] == 0)]

    def value(name, split, metric):
        row = probe[(probe["name"] == name) & (probe["split"] == split) & (probe["metric"] == metric)]
        return f"{float(row['value'].max()):.2f}"  # of several budgets, the README quotes the best

    quoted = re.findall(
        r"^\| [^|]+ \(`([^`]+)`\) \| (\S+) \| (\S+) \| (\S+) \|$", (ROOT / "README.md").read_text(), re.M
    )
    assert len(quoted) >= 5
    for name, at_random, held_out, f1 in quoted:
        assert at_random == value(name, "random", "accuracy")
        assert held_out == value(name, "donor", "accuracy")
        assert f1 == value(name, "donor", "macro_f1")
