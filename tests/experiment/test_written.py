"""A run that is scored on two datasets has tables, a ranking and views for each, and its arms are counted once."""

import pandas as pd
import pytest
from rich.console import Console

from benchmark.core.curves import NO_CURVES
from benchmark.experiment.summary import arms_of_run
from benchmark.experiment.written import Written, by_dataset
from benchmark.report.terminal import print_board
from benchmark.report.views import write_views
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.rows import arms
from tests.helpers.rows import example_predictions, example_rows

BOTH_SIDES = {"fit": ["s1"], "transductive": False, "shared": {"donors": ["A", "unknown"]}}
MANIFEST = {"folds": {"fold0": BOTH_SIDES}}


@pytest.fixture(scope="module")
def tables():
    """The rows of the example, as "one"; and as "other", with scores half as high, on slides of other names."""
    one, maps = example_rows().assign(dataset="one"), example_predictions()
    of_slide = one["donor"].isin(set(maps["donor"]))
    other = one.assign(dataset="other", slide=one["slide"].where(~of_slide, "other." + one["slide"]))
    other["value"] = other["value"].where(other["task"].isin(["arm", "cost"]), other["value"] / 2)
    rows = pd.concat([one, other], ignore_index=True)
    both = pd.concat([maps, maps.assign(slide="other." + maps["slide"])], ignore_index=True)
    return Written(rows, leaderboard(rows), both, NO_CURVES, MANIFEST)


def test_each_dataset_has_the_tables_that_it_would_have_alone(tables):
    parts = by_dataset(tables)
    assert list(parts) == ["one", "other"]
    for name, part in parts.items():
        alone = tables.rows[tables.rows["dataset"] == name]
        pd.testing.assert_frame_equal(part.rows, alone)
        board = leaderboard(alone)
        columns = ["method", "budget", "task", "metric", "value", "rank"]
        pd.testing.assert_frame_equal(part.board[columns].reset_index(drop=True), board[columns])
        assert set(part.maps["slide"]) <= set(alone["slide"]) and len(part.maps) == len(tables.maps) / 2


def test_a_donor_on_both_sides_is_told_on_the_page_of_its_own_dataset(tables):
    donor = tables.rows["donor"].iloc[0]
    both = BOTH_SIDES | {"shared": {"donors": [donor, "of another dataset"]}}
    for part in by_dataset(tables._replace(manifest={"folds": {"fold0": both}})).values():
        assert part.manifest["folds"]["fold0"] == BOTH_SIDES | {"shared": {"donors": [donor]}}


def test_an_arm_that_is_tested_on_two_datasets_is_one_arm(tables):
    assert len(arms_of_run(tables.rows)) == len(arms(by_dataset(tables)["one"].rows)) == len(arms(tables.rows)) / 2


def test_each_dataset_has_a_page_and_a_ranking(tables, tmp_path):
    for name, part in by_dataset(tables).items():
        (tmp_path / name).mkdir()
        write_views(*part, tmp_path / name, ablation=False)
        assert (tmp_path / name / "report.html").stat().st_size > 10_000
        console = Console(record=True, width=150)
        print_board(part.board, console)
        assert "pca" in console.export_text()
