"""References, such as a released model: named as what they are wherever they stand, and in no paired test."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.core.curves import NO_CURVES
from benchmark.core.scores import read_table, write_table
from benchmark.report.mlflow_records import run_records
from benchmark.report.page import write_report
from benchmark.stats.champions import champions
from benchmark.stats.comparisons import compare
from benchmark.stats.leaderboard import headline, leaderboard
from benchmark.stats.leakage import leakage
from tests.helpers.rows import example_rows

FLAGGED = "spot (not compute-matched)"


@pytest.fixture(scope="module")
def rows():
    """The spot unit is a reference: a checkpoint that was trained elsewhere, at budget 0 too."""
    rows = example_rows()
    return rows.assign(reference=np.where(rows["method"] == "spot", "not compute-matched", ""))


def test_a_reference_is_flagged_beside_its_name_and_never_called_untrained(rows):
    board = leaderboard(rows)
    assert set(board.loc[board["method"] == "spot", "name"]) == {FLAGGED}
    assert FLAGGED in headline(board).index.get_level_values("name")
    assert set(leakage(rows).query("method == 'spot'")["name"]) == {FLAGGED}
    tracked = [record["params"]["method"] for record in run_records(rows, board, NO_CURVES).values()]
    assert tracked.count(FLAGGED) == 3 and "spot" not in tracked
    others = board[board["method"] != "spot"]
    assert not others["name"].str.contains("compute").any() and "patch (untrained)" in set(others["name"])


def test_a_reference_changes_no_score_and_no_rank(rows):
    columns = ["method", "budget", "value", "low", "high", "rank"]
    assert leaderboard(rows)[columns].equals(leaderboard(example_rows())[columns])


def test_a_reference_is_compared_with_nobody_and_stands_for_no_unit(rows):
    compared = compare(rows)
    assert len(compared) and "spot" not in {*compared["a"], *compared["b"]}
    assert all("spot" not in units for units in champions(rows).values())


def test_the_report_flags_it_and_says_what_it_has_seen(rows, tmp_path):
    seen = (rows["method"] == "spot") & (rows["slide"] == "A1")
    rows = rows.assign(note=np.where(seen, "in the released model's pretraining", ""))
    board = leaderboard(rows)
    assert set(board.loc[board["note"] != "", "method"]) == {"spot"}
    page = write_report(rows, board, None, NO_CURVES, {}, tmp_path / "report.html").read_text()
    assert FLAGGED in page and "in the released model&#39;s pretraining" in page


def test_scores_of_before_there_were_references_have_none(rows, tmp_path):
    path = write_table(tmp_path / "scores.parquet", example_rows().drop(columns=["reference", "note"]))
    assert set(read_table(path)["reference"]) == {""}
