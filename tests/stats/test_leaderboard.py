"""The leaderboard: means worked by hand, intervals against SciPy and a simulated truth, ranks, what is missing."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console
from scipy import stats

from benchmark.core.scores import COLUMNS, read_table, status_line, write_table
from benchmark.report.terminal import print_board
from benchmark.stats import intervals
from benchmark.stats.comparisons import compare
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.leaderboard import headline, leaderboard
from benchmark.stats.names import si
from benchmark.stats.rows import arms
from tests.helpers.rows import DONORS, METHODS, OUT_OF_MEMORY, SEEDS, entrants, example_rows, measured, table


@pytest.fixture(scope="module")
def rows():
    return example_rows()


@pytest.fixture(scope="module")
def board(rows):
    return leaderboard(rows)


def test_the_value_is_the_mean_over_donors_not_over_slides_or_rows():
    scores = measured("pca", {("A", "A1", 0): 0.2, ("A", "A2", 0): 0.4, ("A", "A1", 1): 0.5, ("B", "B1", 0): 0.9})
    row = leaderboard(table(*scores)).iloc[0]
    assert row["value"] == pytest.approx((((0.2 + 0.4) / 2 + 0.5) / 2 + 0.9) / 2)
    assert (row["n_blocks"], row["n_seeds"], row["n_present"], row["n_expected"]) == (2, 2, 4, 4)
    assert row["resampled"] == "donors, seeds"


def test_rows_from_before_a_column_have_its_default(rows, tmp_path):
    old = write_table(tmp_path / "scores.parquet", rows.drop(columns=["options", "neighbours"]))
    back = read_table(old)
    assert list(back) == COLUMNS and set(back["options"]) == {"{}"} and set(back["neighbours"]) == {0}
    pd.testing.assert_frame_equal(back.drop(columns=["options", "neighbours"]), pd.read_parquet(old))


def test_old_rows_pooled_over_slides_are_resampled_over_repeats():
    scores = [
        {"method": "pca", "split": "random", "fold": f"repeat{i}", "seed": 0, "value": value}
        for i, value in enumerate((0.1, 0.2, 0.6))
    ]
    row = leaderboard(table(*scores)).iloc[0]
    assert (row["value"], row["resampled"], row["n_blocks"]) == (pytest.approx(0.3), "repeats", 3)


def test_one_score_has_no_interval():
    row = leaderboard(table(*measured("pca", {("A", "A1", 0): 0.2}))).iloc[0]
    assert row["value"] == 0.2
    assert np.isnan(row["low"]) and np.isnan(row["high"]) and row["resampled"] == ""


def test_with_one_seed_the_interval_is_the_bootstrap_of_scipy():
    scores = np.random.default_rng(3).normal(0.5, 0.1, size=(12, 1))
    outside = stats.bootstrap((scores[:, 0],), np.mean, method="percentile", n_resamples=20_000, rng=0)
    assert intervals.bootstrap(scores, np.arange(12)) == pytest.approx(tuple(outside.confidence_interval), abs=0.006)


def test_the_interval_covers_a_known_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    donors = rng.normal(0, 1, (400, 15, 1))
    seeds = rng.normal(0, 0.5, (400, 1, 5))
    simulated = donors + seeds + rng.normal(0, 0.5, (400, 15, 5))
    covered = [low < 0 < high for low, high in (intervals.bootstrap(each, np.arange(15)) for each in simulated)]
    assert 0.9 < np.mean(covered) < 0.985


def test_donors_that_share_a_model_are_drawn_together():
    """8 folds of 2 donors, and an effect of the fold's model as large as that of the donor. Were donors drawn by
    themselves, the interval would hold the truth in about 85% of cases."""
    rng, folds = np.random.default_rng(0), np.repeat(np.arange(8), 2)
    shape = (400, 16, 1)
    model = rng.normal(0, 1, (400, 8, 1)).repeat(2, axis=1)
    simulated = rng.normal(0, 1, shape) + model + rng.normal(0, 0.5, (400, 1, 3)) + rng.normal(0, 0.5, (400, 16, 3))
    by_fold, apart = (
        np.mean([low < 0 < high for low, high in (intervals.bootstrap(each, names) for each in simulated)])
        for names in (folds, np.arange(16))
    )
    assert by_fold > 0.89 and apart < 0.88


def test_where_a_fold_is_a_donor_folds_and_donors_are_the_same():
    scores = np.random.default_rng(1).random((5, 3))
    names = np.array(list("EBADC"))
    assert intervals.bootstrap(scores, names)[0] == pytest.approx(
        intervals.bootstrap(scores, np.arange(5))[0], abs=0.02
    )
    one = intervals.bootstrap(scores[:, :1], np.zeros(5))
    assert one == pytest.approx(intervals.bootstrap(scores[:, :1], np.arange(5)), abs=0.02), (
        "one fold: donors within it"
    )


def test_a_test_flips_the_donors_of_a_fold_together():
    values, folds = np.array([0.1, 0.3, 0.2, 0.1, 0.2, 0.1]), np.array(list("aabbcc"))
    assert intervals.summed(values, folds) == pytest.approx([0.4, 0.3, 0.3])
    assert intervals.sign_flip(intervals.summed(values, folds)) == pytest.approx(2 / 2**3)


def test_the_leaderboard_says_that_folds_are_drawn():
    values = {(d, f"{d}1", s): 0.1 * i for i, d in enumerate("ABCD") for s in (0, 1)}
    scores = [row | {"fold": "fold0" if row["donor"] in "AB" else "fold1"} for row in measured("pca", values)]
    row = leaderboard(table(*scores)).iloc[0]
    assert row["resampled"] == "folds, donors, seeds"
    ends = intervals.bootstrap(np.array([[0.0], [0.1], [0.2], [0.3]]), np.arange(4))
    assert row["low"] < ends[0] and row["high"] > ends[1], "wider than if four donors had been drawn"


@settings(deadline=None, max_examples=25)
@given(
    arrays(float, st.tuples(st.integers(2, 6), st.integers(1, 4)), elements=st.floats(0, 1)),
    st.floats(-3, 3),
)
def test_the_interval_lies_within_the_values_and_moves_with_them(scores, shift):
    names = np.arange(len(scores))
    low, high = intervals.bootstrap(scores, names)
    assert scores.min() - 1e-9 <= low <= high <= scores.max() + 1e-9
    assert intervals.bootstrap(scores + shift, names) == pytest.approx((low + shift, high + shift), abs=1e-9)


@settings(deadline=None, max_examples=10)
@given(st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_rows_nor_number_of_spots_matters(random):
    scores = measured("pca", {(d, d + "1", s): random.random() for d in "ABC" for s in (0, 1, 2)})
    scores += measured("noise", {(d, d + "1", s): random.random() for d in "ABC" for s in (0, 1)})
    shuffled = scores * 2
    random.shuffle(shuffled)
    pd.testing.assert_frame_equal(leaderboard(table(*scores)), leaderboard(table(*shuffled)), check_exact=True)
    more_spots = table(*scores).assign(n_test=999, n_train=7)
    pd.testing.assert_frame_equal(leaderboard(table(*scores)), leaderboard(more_spots), check_exact=True)


def test_ranks_follow_the_direction_of_the_metric(board):
    ranked = board[board["status"] == "ok"]
    for (metric, *_), contest in ranked.groupby(["metric", "split", "task", "setting", "neighbours"]):
        cost = contest["value"] if metric == "mse" else -contest["value"]
        assert contest["rank"].tolist() == stats.rankdata(cost, method="min").tolist()
        assert contest["rank"].is_monotonic_increasing


def test_a_failed_arm_is_counted_and_not_averaged(rows, board):
    primary = select(board, PRIMARY)
    hit = (primary["method"] == "slide") & (primary["budget"] == 4e12)
    expected = len(DONORS) * len(SEEDS)
    assert (primary["n_expected"] == expected).all()
    assert primary.loc[hit, "n_present"].tolist() == [expected - 1]
    assert (primary.loc[~hit, "n_present"] == expected).all()
    assert primary.loc[hit, "reason"].tolist() == ["incomplete: lacks 1 score: donor C (C1: 1)"]
    assert status_line(arms(rows)) == f"{len(entrants()) * 21} arms expected: {len(entrants()) * 21 - 1} finished, " + (
        "1 failed, 0 not applicable"
    )


def test_an_entrant_without_any_value_keeps_its_row_and_reason(rows, board):
    absent = board[(board["task"] == "reconstruction") & (board["unit"] == "none")]
    assert set(absent["name"]) == {method for method, (unit, *_) in METHODS.items() if unit == "none"}
    assert (absent["status"] == "not applicable").all() and absent["rank"].isna().all()
    assert (absent["reason"] == "the method does not reconstruct").all()

    patch = (rows["method"] == "patch") & (rows["budget"] > 0) & ~rows["task"].isin(["arm", "cost"])
    rows = rows.copy()
    rows.loc[patch, ["value", "status", "reason"]] = [np.nan, "failed", OUT_OF_MEMORY]
    failed = select(leaderboard(rows), PRIMARY)
    assert failed.loc[failed["status"] == "failed", "reason"].tolist() == [OUT_OF_MEMORY] * 2


def test_a_run_of_failures_gives_an_empty_board(rows):
    failed = arms(rows).assign(value=None, status="failed", reason="no")
    board = leaderboard(failed)
    assert board.empty and headline(board).empty and compare(failed).empty
    print_board(board, Console(file=io.StringIO()))


def test_the_printed_board_is_ordered_and_names_every_entrant(board):
    short = headline(board)
    assert short.iloc[:-1, 0].is_monotonic_decreasing and short.index[-1][0] == "slide", "the incomplete one is last"
    assert len(short) == len(entrants())
    text = io.StringIO()
    print_board(board, Console(file=text, width=160))
    said = " ".join(text.getvalue().split())  # a line ends where the width of the table has it
    assert all(name in said for name in short.index.get_level_values("name"))
    assert f"{short.iloc[-1, 0]:.3f}*" in said and "*: lacks scores" in said


HARD = {"E": 0.1, "F": 0.1}


def hard_and_easy(**methods: tuple[float, str]) -> list[dict]:
    """Of each method: its score on an easy donor, and the donors that it failed on. E and F are hard: 0.1 for all."""
    return [
        row
        for method, (score, failed) in methods.items()
        for row in measured(
            method, {(d, d + "1", s): HARD.get(d, score) for d in "ABCDEF" if d not in failed for s in (0, 1)}
        )
    ]


def test_a_method_that_failed_where_it_is_hard_has_no_rank():
    """It is worse than the other on every donor that both have, and its mean is the highest."""
    board = leaderboard(table(*hard_and_easy(whole=(0.85, ""), failed=(0.80, "EF"), worst=(0.2, ""))))
    assert board["method"].tolist() == ["whole", "worst", "failed"]
    assert board["rank"].fillna(0).tolist() == [1, 2, 0] and board["value"].iloc[2] == pytest.approx(0.80)
    assert board["value"].iloc[0] == pytest.approx(0.60) and board["status"].tolist() == ["ok", "ok", "incomplete"]
    assert board["reason"].iloc[2] == "incomplete: lacks 4 scores: donor E (E1: 2), donor F (F1: 2)"
    assert headline(board).index.get_level_values("method").tolist() == ["whole", "worst", "failed"]


def test_what_nobody_has_is_not_missing_and_what_one_seed_lacks_is():
    rows = hard_and_easy(a=(0.5, "E"), b=(0.4, "E"))  # donor E cannot be scored for anybody
    assert leaderboard(table(*rows))["rank"].tolist() == [1, 2]
    board = leaderboard(table(*rows[1:]))
    assert board["method"].tolist() == ["b", "a"] and board["rank"].isna().tolist() == [False, True]


def test_an_entrant_of_which_an_arm_failed_has_no_rank_even_where_all_failed():
    failed = {"status": "failed", "reason": "no", "split": "none", "task": "arm", "metric": "status", "fold": "E"}
    rows = hard_and_easy(a=(0.5, "E"), b=(0.4, "E"))
    board = leaderboard(table(*rows, failed | {"method": "a", "seed": 0}))
    assert board["method"].tolist() == ["b", "a"] and board["reason"].iloc[1] == "incomplete: 1 arm failed"


def test_what_a_budget_was_enough_for_stands_beside_the_score(rows):
    spots = {("spot", 0): 1_000.0, ("spot", 1): 3_000.0, ("patch", 0): 500_000.0}
    seen = arms(rows).assign(task="cost", metric="spots_seen")
    kept = [(method, seed) in spots for method, seed in zip(seen["method"], seen["seed"], strict=True)]
    seen = seen[kept].copy()
    seen["value"] = [spots[key] for key in zip(seen["method"], seen["seed"], strict=True)]
    board = leaderboard(pd.concat([rows[rows["metric"] != "spots_seen"], seen]))
    mean = select(board, PRIMARY).groupby("method")["spots_seen"].first()
    assert mean["spot"] == 2_000 and mean["patch"] == 500_000 and np.isnan(mean["pca"])
    text = io.StringIO()
    print_board(board, Console(file=text, width=160))
    assert "spots seen" in text.getvalue() and "2 k" in text.getvalue() and "500 k" in text.getvalue()


@pytest.mark.parametrize("value, text", [(0, "0 "), (0.5, "0.5 "), (999, "999 "), (1.234e13, "12.3 T"), (4e6, "4 M")])
def test_si(value, text):
    assert si(value) == text
