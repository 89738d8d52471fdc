"""A task of another package: its metric, direction and key score reach every table without a central list."""

import json

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from benchmark.core.curves import NO_CURVES
from benchmark.core.declarations import declared
from benchmark.report import tables
from benchmark.report.mlflow_board import track
from benchmark.report.mlflow_records import run_records
from benchmark.report.page import write_report
from benchmark.stats.champions import champions
from benchmark.stats.comparisons import OTHER, compare
from benchmark.stats.contests import Contest, key_caption, leading, select
from benchmark.stats.leaderboard import headline, leaderboard
from benchmark.stats.winners import winners
from tests.helpers.factors import entry, factor_rows
from tests.helpers.plugins import install

CODE = '''
from benchmark.core.contracts import KeyScore, Metric


class Roughness:
    """How far embeddings of neighbouring spots are apart."""

    name = "roughness"
    requires = "embed"
    splits = ("donor",)
    title = "Roughness of tissue"
    order = 1
    metrics = (Metric("step", "mean step", lower_is_better=True), Metric("bound", resampled="nothing"))
    key_scores = (KeyScore("step size", "edges", "step", words="step size: between neighbouring spots"),)
    settings = {"edges": "along edges"}

    def score(self, train, test, seed):
        yield from ()
'''
CONTEST = Contest("donor", "roughness", "edges", 0, "step")
ENTRIES = [entry("patch", "patch"), entry("spot", "spot"), entry("pca", "none")]
VALUES = {"patch": 0.1, "spot": 5.0, "none": 9.0}


def rows_of(task: str, setting: str, metric: str) -> pd.DataFrame:
    """Small values for the patch unit, large ones for PCA and for all that is untrained."""

    def value(arm: dict) -> float:
        return VALUES[arm["unit"]] if arm["budget"] > 0 else VALUES["none"]

    return factor_rows(ENTRIES, value, neighbours=(0,), task=task, setting=setting, metric=metric)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """The package is installed for one test. A run with its task and the task "domain"."""
    install(tmp_path / "packages", "rough_tissue", CODE, "roughness = rough_tissue:Roughness", "unitbench.tasks")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    declared.cache_clear()
    domain = rows_of("domain", "knn", "macro_f1")
    bound = rows_of("roughness", "edges", "bound")
    others = [table[~table["task"].isin(["arm", "cost"])] for table in (domain, bound)]
    yield pd.concat([rows_of("roughness", "edges", "step"), *others], ignore_index=True)
    declared.cache_clear()


def test_the_leaderboard_ranks_the_smaller_value_first(rows):
    board = leaderboard(rows)
    ranked = select(board, CONTEST)
    assert ranked["rank"].tolist() == list(range(1, 8)) and ranked["value"].is_monotonic_increasing
    assert ranked["name"].iloc[0] == "patch" and ranked["value"].iloc[0] == pytest.approx(VALUES["patch"], abs=0.05)
    assert ranked["value"].iloc[-1] == pytest.approx(VALUES["none"], abs=0.05)
    assert leading(board) == ("step size", CONTEST), "its order is the least"
    assert headline(board).columns.tolist() == ["step size", "macro-F1"]
    assert headline(board)["step size"].is_monotonic_increasing
    assert "step size: between neighbouring spots" in key_caption(board)


def test_the_page_has_its_title_its_arrow_and_its_order(rows, tmp_path):
    board = leaderboard(rows)
    html = write_report(rows, board, None, NO_CURVES, {}, tmp_path / "report.html").read_text(encoding="utf-8")
    ranking = html[html.index('id="ranking"') : html.index('id="verdicts"')]
    assert "Ordered by mean step ↓ of roughness of tissue (along edges), whole donors held out" in ranking
    assert "<th>mean step ↓</th>" in ranking and "<th>macro-F1</th>" in ranking
    assert ranking.index("</span>patch</td>") < ranking.index("</span>spot</td>") < ranking.index("</span>pca</td>")
    every = html[html.index('id="tables"') : html.index('id="cost"')]
    assert "Roughness of tissue, whole donors held out" in every and "<th>mean step ↓</th><th>bound</th>" in every
    assert "donors held out (Roughness of tissue: along edges; Domain detection: k-NN probe)" in html
    (table,) = next(part for part in tables.sections(board, rows) if part["title"].startswith("Roughness"))["tables"]
    values = [row["scores"][0]["value"] for row in table["rows"]]
    assert values == sorted(values) and table["rows"][0]["name"] == "patch"


def test_the_board_of_mlflow_has_its_column_and_is_sorted_upwards(rows, tmp_path):
    board = leaderboard(rows)
    records = run_records(rows, board, NO_CURVES)
    assert {"01 step size", "02 macro-F1"} <= set(records["patch/flops/4e+12"]["metrics"])
    track(rows, board, NO_CURVES, tmp_path / "mlflow.db", "rough")
    experiment = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}").get_experiment_by_name("rough")
    view = json.loads(experiment.tags["mlflow.sharedViewState.board"])
    assert view["orderByKey"] == "metrics.`01 step size`" and view["orderByAsc"] is True
    assert "metrics.`01 step size`" in view["selectedColumns"]


def test_a_difference_favours_the_smaller_value(rows):
    tests = compare(rows, CONTEST)
    assert (tests.loc[tests["question"] != OTHER, "difference"] > 0).all()
    between = tests[tests["question"] == OTHER].iloc[0]
    assert (between["a"], between["b"], between["verdict"]) == ("patch", "spot", "better")
    assert between["difference"] == pytest.approx(VALUES["spot"] - VALUES["patch"], abs=0.05)
    won = select(winners(champions(rows)), CONTEST)
    assert len(won) == 2 and set(won["verdict"]) == {"patch wins"} and (won["difference"] > 0).all()


def test_a_metric_of_which_nothing_is_resampled_has_no_interval(rows):
    board = leaderboard(rows)
    bound, step = (select(board, CONTEST._replace(metric=metric)) for metric in ("bound", "step"))
    assert (bound["n_blocks"] == 8).all() and (bound["n_seeds"] == 3).all() and bound["value"].notna().all()
    assert bound[["low", "high"]].isna().to_numpy().all() and set(bound["resampled"]) == {""}
    assert step[["low", "high"]].notna().to_numpy().all() and set(step["resampled"]) == {"donors, seeds"}
