"""Several runs as one: what does not compare is refused, ranks and Elo agree with other implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression

from benchmark.core.errors import UnitBenchError
from benchmark.stats.contests import PRIMARY, first_contest
from benchmark.stats.rows import ENTRANT
from benchmark.stats.summary import gather
from benchmark.stats.summary_ranks import SCALE, alike, blocks, critical_difference, elo, ranks
from benchmark.stats.summary_tables import boards, contests, missing, standings
from tests.helpers.rows import finished_run

# What compares


@pytest.fixture(scope="module")
def runs() -> dict[str, pd.DataFrame]:
    """Two runs of the same methods on two datasets."""
    return {"results/one": finished_run("one"), "results/two": finished_run("two")}


def refusal(runs) -> str:
    with pytest.raises(UnitBenchError) as caught:
        gather(runs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_of_before_there_were_protocol_ids_are_refused(runs):
    for lost in ("protocol", "data"):
        line = refusal({**runs, "results/old": runs["results/one"].assign(**{lost: ""})})
        assert line.startswith("results/old: ") and line.endswith("; run it again")


def test_two_data_under_one_name_are_refused(runs):
    line = refusal({**runs, "other": runs["results/one"].assign(data="ffffffffffff")})
    assert line.startswith("other: 'one' has other slides than in results/one (ffffffffffff, there ")


def test_two_protocols_under_one_name_are_refused_even_of_one_task_alone(runs):
    rows = runs["results/two"]
    other = rows.assign(protocol=rows["protocol"].mask(rows["task"] == "clustering", "ffffffffffff"))
    line = refusal({**runs, "other": other})
    assert line.startswith("other: 'two', 'clustering', 'donor' has other protocol than in results/two (ffffffffffff, ")


def test_datasets_may_have_protocols_of_their_own(runs):
    other = runs["results/two"]
    other = other.assign(protocol=other["protocol"].mask(other["protocol"] != "", "ffffffffffff"))
    assert len(gather({**runs, "results/two": other})[0]) == sum(map(len, runs.values()))


def test_a_score_that_two_runs_have_counts_once_and_the_difference_is_told(runs):
    rows = runs["results/one"]
    pca = rows[rows["method"] == "pca"]
    where = pca.index[(pca["metric"] == "macro_f1") & pca["value"].notna()][0]
    moved = pca.assign(value=pca["value"].where(pca.index != where, pca["value"] + 0.25))
    gathered, twice = gather({**runs, "again": moved})
    before, none = gather(runs)
    pd.testing.assert_frame_equal(gathered, before)
    assert none.empty
    (row,) = twice.to_dict("records")
    assert (row["dataset"], row["method"], row["kept"], row["left_out"]) == ("one", "pca", "results/one", "again")
    assert row["scores"] == (~pca["task"].isin(["arm", "cost"])).sum()
    assert row["greatest_difference"] == pytest.approx(0.25)


def test_one_label_with_other_options_is_another_entrant(runs):
    rows = runs["results/two"]
    options = '{"method": "patch", "size": 16}'
    other = rows.assign(options=rows["options"].mask(rows["method"] == "patch", options))
    names = set(gather({**runs, "results/two": other})[0]["method"])
    assert {"patch [size=default]", "patch [size=16]"} <= names and "patch" not in names and "spot" in names


# Ranks


@pytest.fixture(scope="module")
def rows(runs) -> pd.DataFrame:
    return gather(runs)[0]


def test_the_blocks_are_the_donors_of_each_dataset_and_only_of_entrants_with_every_score(rows):
    table = blocks(rows, PRIMARY)
    assert list(table.index.droplevel("cluster")) == list(itertools.product(["one", "two"], "ABCDEF"))
    assert "slide" not in table.columns.get_level_values("method")[table.columns.get_level_values("budget") == 4e12]
    assert table.notna().all().all()
    one = rows[(rows["dataset"] == "two") & (rows["method"] == "pca") & (rows["donor"] == "C")]
    one = one[(one[list(PRIMARY._fields)] == PRIMARY).all(axis=1)]["value"]
    assert table.loc[("two", "C", "C"), "pca"].item() == pytest.approx(one.mean())


def test_an_entrant_that_one_dataset_lacks_has_no_rank_and_is_named_as_missing(runs):
    two = runs["results/two"]
    rows, _ = gather({**runs, "results/two": two[two["method"] != "pca"]})
    found, board = ranks(rows, PRIMARY), boards(rows)
    assert "pca" not in found.table.index.get_level_values("method")
    lacking = missing(board)
    of_pca = lacking[(lacking["method"] == "pca") & (lacking["status"] == "not run")]
    assert set(of_pca["dataset"]) == {"two"} and set(of_pca["task"]) >= {"domain", "clustering"}
    table = standings(board, PRIMARY, found).set_index("method")
    assert np.isnan(table.loc["pca", "mean_rank"]) and table.loc["pca", "n_datasets"] == 1
    assert table.loc["noise", "n_datasets"] == 2


def test_what_failed_or_does_not_apply_is_named_as_missing(rows):
    lacking = missing(boards(rows))
    slide = lacking[(lacking["method"] == "slide") & (lacking["task"] == "domain")]
    assert set(slide["status"]) == {"incomplete"} and set(slide["budget"]) == {4e12}
    at_all = lacking[(lacking["method"] == "pca") & (lacking["task"] == "reconstruction")]
    assert set(at_all["status"]) == {"not applicable"}


def test_ranks_are_means_over_blocks_and_the_best_is_one(rows):
    found = ranks(rows, PRIMARY)
    values = blocks(rows, PRIMARY)
    by_hand = values.rank(axis=1, ascending=False).mean().sort_values()
    pd.testing.assert_series_equal(found.table["mean_rank"].sort_index(), by_hand.sort_index(), check_names=False)
    assert found.table["mean_rank"].is_monotonic_increasing and (found.n_blocks, found.n_clusters) == (12, 12)
    assert (found.table["low"] <= found.table["elo"]).all() and (found.table["elo"] <= found.table["high"]).all()


def test_a_lower_error_has_the_better_rank(rows):
    lower = first_contest("reconstruction")._replace(metric="mse", setting="hole 4")
    higher = lower._replace(metric="pearson")
    best = blocks(rows, lower).mean().idxmax()
    assert best == blocks(rows, higher).mean().idxmax() and (blocks(rows, lower) <= 0).all().all()


@pytest.mark.parametrize(("n_entrants", "n_blocks", "expected"), [(4, 14, 1.25), (5, 30, 1.11), (10, 10, 4.28)])
def test_the_critical_difference_is_that_of_demsar(n_entrants, n_blocks, expected):
    """The first two are examples of Demšar 2006; the last is 3.164 of his table 5 times sqrt(10 · 11 / 60)."""
    assert critical_difference(n_entrants, n_blocks) == pytest.approx(expected, abs=0.006)


def test_groups_that_do_not_differ_are_the_widest_ones():
    assert alike(np.array([1.0, 1.9, 2.4, 2.6, 5.0]), 1.0) == [(0, 1), (1, 3)]
    assert alike(np.array([1.0, 3.0]), 1.0) == []


# Elo


def test_two_entrants_by_hand():
    """Three wins of four and the one draw that every pair is given: odds of 3.5 to 1.5."""
    values = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    first, second = elo(values, np.ones((1, 4)))[0]
    assert first - second == pytest.approx(400 * np.log10(3.5 / 1.5)) and (first + second) / 2 == pytest.approx(1000)


scores = arrays(
    float,
    strategies.tuples(strategies.integers(1, 8), strategies.integers(2, 6)),
    elements=strategies.floats(0, 1).map(lambda x: round(x, 1)),
)


@given(scores)
def test_it_is_the_logistic_regression_of_who_wins(values):
    n = values.shape[1]
    x, y, weight = [], [], []
    for i, j in itertools.combinations(range(n), 2):
        won = (values[:, i] > values[:, j]).sum() + 0.5 * (values[:, i] == values[:, j]).sum() + 0.5
        row = np.zeros(n)
        row[[i, j]] = 1, -1
        x += [row, row]
        y += [1, 0]
        weight += [won, len(values) + 1 - won]
    model = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10, max_iter=10_000)
    strength = model.fit(np.array(x), y, weight).coef_[0]
    expected = 1000 + SCALE * (strength - strength.mean())
    np.testing.assert_allclose(elo(values, np.ones((1, len(values))))[0], expected, atol=0.5)


@given(scores, strategies.randoms(use_true_random=False))
def test_it_does_not_depend_on_scale_or_order_and_a_weight_is_a_repeat(values, random):
    one = np.ones((1, len(values)))
    expected = elo(values, one)[0]
    np.testing.assert_allclose(elo(np.exp(3 * values), one)[0], expected, atol=1e-6)
    order = random.sample(range(values.shape[1]), values.shape[1])
    np.testing.assert_allclose(elo(values[:, order], one)[0], expected[order], atol=1e-6)
    np.testing.assert_allclose(elo(values, 3 * one)[0], elo(np.tile(values, (3, 1)), np.tile(one, 3))[0], atol=1e-6)


# Score against FLOPs


def test_the_front_holds_whom_nobody_beats_for_as_few_flops(rows):
    board = boards(rows)
    board = board[(board["dataset"] == "one") & (board["task"] == "domain") & (board["status"] == "ok")]
    for _, row in board.iterrows():
        others = board[(board["flops"] <= row["flops"]) & (board["value"] >= row["value"])]
        beaten = ((others["flops"] < row["flops"]) | (others["value"] > row["value"])).any()
        assert row["front"] == (not beaten)
    assert board.loc[board["method"] == "pca", "flops"].item() == 0 and board["front"].sum() >= 2


def test_flops_that_nobody_counted_are_not_0_and_are_on_no_front(rows):
    reference = rows.assign(reference=np.where(rows["method"] == "pca", "not compute-matched", ""))
    board = boards(reference)
    of_pca = board[board["method"] == "pca"]
    assert of_pca["flops"].isna().all() and not of_pca["front"].any() and of_pca["value"].notna().any()


def test_each_task_stands_by_its_first_key_score(rows):
    assert [(c.task, c.setting, c.metric) for c in contests(rows)][:1] == [("domain", "knn", "macro_f1")]
    assert set(boards(rows)["metric"]) == {contest.metric for contest in contests(rows)}
    assert set(ENTRANT) <= set(boards(rows))
