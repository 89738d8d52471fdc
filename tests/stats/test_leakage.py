"""The leakage index: worked by hand, and its interval against an outside bootstrap; the noise control."""

import numpy as np
import pandas as pd
import pytest

from benchmark.core.scores import COLUMNS, Score
from benchmark.stats import intervals
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.leakage import POOLED, leakage
from benchmark.stats.rows import arms
from tests.helpers.rows import example_rows

BASE = {"dataset": "toy", "unit": "none", "budget_axis": "flops", "budget": 0.0, "task": "domain", "setting": "knn"}


def table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([Score(**BASE | {"metric": "accuracy"} | row).model_dump() for row in rows], columns=COLUMNS)


def within(method: str, values: list, split: str = "random", **other) -> list[dict]:
    """`values` `[n_donors][n_seeds]`: the same in each of 2 repeats but for a shift of 0.1 up and down."""
    scores = [("ABCDEFGH"[i], seed, value) for i, seeds in enumerate(values) for seed, value in enumerate(seeds)]
    return [
        {"method": method, "split": split, "fold": fold, "donor": d, "slide": f"{d}1", "seed": seed}
        | {"value": value + shift}
        | other
        for fold, shift in (("repeat0", 0.1), ("repeat1", -0.1))
        for d, seed, value in scores
    ]


def pooled(method: str, values: list, split: str = "random", **other) -> list[dict]:
    """Rows as they were before slides were reported one by one; `values` `[n_repeats][n_seeds]`."""
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
    assert (pca["n_donors"], pca["n_seeds"]) == (2, 2)
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


def test_old_rows_that_pooled_slides_have_no_index_and_say_why():
    """A pooled score weighs slides by their spots; one with donors held out is a mean over slides."""
    rows = pooled("pca", [[0.8], [0.7]]) + pooled("noise", [[0.9], [0.9]]) + held_out("pca", [[0.5], [0.4]])
    pca = leakage(table(rows)).set_index("method").loc["pca"]
    assert (pca["value"], pca["held_out"]) == pytest.approx((0.75, 0.45))
    assert np.isnan(pca["index"]) and pca["reason"] == POOLED
    assert pca["above_noise"] == pytest.approx(-0.15), "both are pooled alike"


def sized(n_spots: dict[str, int], accuracy: dict[str, float]) -> float:
    """The accuracy pooled over slides of so many spots."""
    return sum(n * accuracy[slide] for slide, n in n_spots.items()) / sum(n_spots.values())


def test_an_embedding_that_holds_nothing_has_an_index_of_zero_whatever_the_sizes_of_slides():
    """A constant guess reaches the share of its label on each slide, under every split. Pooled over slides, the large
    ones count for more, and an index would appear from nothing."""
    share = {"A": 0.9, "B": 0.2, "C": 0.3}
    values = [[value] * 2 for value in share.values()]
    rows = (
        within("random", values) + held_out("random", values) + within("pca", values) + held_out("pca", [[0.1] * 2] * 3)
    )
    leaks = leakage(table(rows)).set_index("method")
    assert leaks.loc["random", ["index", "index_low", "index_high"]].tolist() == pytest.approx([0, 0, 0])
    assert leaks.loc["pca", "random_index"] == pytest.approx(0) and leaks.loc["pca", "index"] == pytest.approx(1.1 / 3)
    assert abs(sized({"A": 10, "B": 500, "C": 400}, share) - np.mean(list(share.values()))) > 0.2


def test_the_index_is_paired_by_slide_and_resamples_donors_and_seeds():
    rng = np.random.default_rng(0)
    random, donor = rng.random((5, 3)), rng.random((5, 3))
    row = leakage(table(within("pca", random.tolist()) + held_out("pca", donor.tolist()))).iloc[0]
    expected = intervals.bootstrap(random - donor, np.arange(5))
    assert row[["index_low", "index_high"]].tolist() == pytest.approx(expected)
    short = leakage(table(within("pca", random.tolist()) + held_out("pca", donor[:3].tolist()))).iloc[0]
    assert short["index"] == pytest.approx((random - donor)[:3].mean()) and short["n_donors"] == 3
