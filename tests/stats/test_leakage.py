"""The leakage index: worked by hand, and its interval against an outside bootstrap; the noise control."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from benchmark.core.scores import COLUMNS, Score
from benchmark.stats import intervals
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.leakage import leakage
from benchmark.stats.rows import arms
from tests.helpers.rows import example_rows

BASE = {"dataset": "toy", "unit": "none", "budget_axis": "flops", "budget": 0.0, "task": "domain", "setting": "knn"}


def table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([Score(**BASE | {"metric": "accuracy"} | row).model_dump() for row in rows], columns=COLUMNS)


def within(method: str, values: list, split: str = "random", **other) -> list[dict]:
    """`values` `[n_repeats][n_seeds]`."""
    return [
        {"method": method, "split": split, "fold": f"repeat{i}", "seed": seed, "value": value} | other
        for i, seeds in enumerate(values)
        for seed, value in enumerate(seeds)
    ]


def held_out(method: str, values: list, **other) -> list[dict]:
    """`values` `[n_donors][n_seeds]`."""
    scores = [("ABCDEFGH"[i], seed, value) for i, seeds in enumerate(values) for seed, value in enumerate(seeds)]
    return [
        {"method": method, "split": "donor", "fold": d, "donor": d, "slide": f"{d}1", "seed": seed, "value": value}
        | other
        for d, seed, value in scores
    ]


def test_the_index_is_the_random_score_less_the_one_with_donors_held_out():
    rows = within("pca", [[0.8, 0.9], [0.7, 0.8]]) + held_out("pca", [[0.5, 0.5], [0.3, 0.3]])
    rows += within("noise", [[0.9, 0.9], [0.8, 0.9]])
    leaks = leakage(table(rows)).set_index("method")
    pca = leaks.loc["pca"]
    assert (pca["value"], pca["held_out"], pca["index"]) == pytest.approx((0.8, 0.4, 0.4))
    assert (pca["noise"], pca["above_noise"]) == pytest.approx((0.875, -0.075))
    assert (pca["n_repeats"], pca["n_donors"], pca["n_seeds"]) == (2, 2, 2)
    noise = leaks.loc["noise"]
    assert np.isnan(noise["index"]) and np.isnan(noise["above_noise"])  # no donor was held out for it; it is itself


def test_probe_smoothing_and_metric_are_never_mixed():
    rows = within("pca", [[0.8]]) + held_out("pca", [[0.5]], neighbours=8) + held_out("pca", [[0.5]], metric="macro_f1")
    rows += within("noise", [[0.9]], setting="mlp") + within("noise", [[0.9]], neighbours=8)
    rows += within("noise", [[0.9]], split="few_labels")
    leaks = leakage(table(rows))
    row = leaks[(leaks["method"] == "pca")].iloc[0]
    assert np.isnan(row["index"]) and np.isnan(row["noise"]) and row["n_donors"] == 0


def test_few_labels_have_a_table_of_their_own():
    rows = within("pca", [[0.8]]) + within("pca", [[0.6]], split="few_labels") + held_out("pca", [[0.5]])
    index = leakage(table(rows)).set_index("split")["index"]
    assert index["random"] == pytest.approx(0.3) and index["few_labels"] == pytest.approx(0.1)


def test_both_scores_are_those_of_the_leaderboard():
    rows = example_rows()
    board = leaderboard(rows)
    keys = ["method", "budget", "setting", "neighbours", "metric"]
    for split, column in (("random", "value"), ("donor", "held_out")):
        on_board = board[board["split"] == split].set_index(keys)["value"].rename("on_board")
        leaks = leakage(rows).join(on_board, on=keys)
        np.testing.assert_allclose(leaks[column], leaks["on_board"])


def test_rows_without_such_a_split_give_an_empty_table():
    rows = example_rows()
    assert leakage(rows[rows["split"] != "random"]).empty
    assert leakage(arms(rows)).empty


def test_with_one_seed_the_interval_apart_is_the_bootstrap_of_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.8, 0.05, 9), rng.normal(0.5, 0.1, 12)
    outside = stats.bootstrap(
        (a, b), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), method="percentile", n_resamples=20_000, rng=0
    )
    assert intervals.bootstrap_apart(a[:, None], b[:, None]) == pytest.approx(
        tuple(outside.confidence_interval), abs=0.006
    )


@settings(deadline=None, max_examples=25)
@given(
    arrays(float, st.tuples(st.integers(2, 6), st.just(3)), elements=st.floats(0, 1)),
    arrays(float, st.tuples(st.integers(2, 6), st.just(3)), elements=st.floats(0, 1)),
)
def test_the_interval_apart_lies_within_what_the_scores_allow(a, b):
    low, high = intervals.bootstrap_apart(a, b)
    assert a.min() - b.max() - 1e-9 <= low <= high <= a.max() - b.min() + 1e-9


def test_seeds_are_drawn_for_both_sides_at_once():
    """An effect of the seed that both sides share leaves their distance as sure as it was."""
    seeds = np.array([[-5.0, 0.0, 5.0]])
    low, high = intervals.bootstrap_apart(np.full((4, 1), 0.8) + seeds, np.full((6, 1), 0.5) + seeds)
    assert (low, high) == pytest.approx((0.3, 0.3))
