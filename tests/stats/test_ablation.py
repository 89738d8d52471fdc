"""The ablation: factors of a family, a grid worked by hand, the variance against statsmodels, holes and failures."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from benchmark.stats import intervals
from benchmark.stats.ablation import effects, means
from benchmark.stats.comparisons import OTHER, compare
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.grids import grids
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.options import CROWD, between, families
from benchmark.stats.variance import shares
from tests.helpers.rows import OUT_OF_MEMORY, example_rows, grid_rows

FACTORS = {"size": [8, 16], "tokens": ["bag", "bound"], "n_channels": [64, 256]}


def grid(score, donors="AB", seeds=(0, 1), factors=FACTORS) -> pd.DataFrame:
    """Rows of the full grid; `score(levels..., donor, seed)` is a number or None."""
    return grid_rows({arm: score(*arm) for arm in product(*factors.values(), donors, seeds)}, factors)


def by_hand(size, tokens, n_channels, donor, seed):
    """Effects of 0.10 and 0.04 that add up, none of the channels, donors 0.20 apart, seeds alike."""
    return 0.3 + 0.1 * (size == 16) + 0.04 * (tokens == "bound") + 0.2 * (donor == "B")


def random_grid(seed: int, **other) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return grid(lambda *_: float(rng.normal(0.5, 0.1)), **other)


def mean_of(table: pd.DataFrame, factor: str, level: str, factor_2: str = "", level_2: str = "") -> pd.Series:
    names = [factor, level, factor_2, level_2]
    return table[(table[["factor", "level", "factor_2", "level_2"]] == names).all(axis=1)].iloc[0]


def test_a_family_is_what_differs_in_options_alone():
    family = families(pd.concat([example_rows(), grid(by_hand)]))[0]
    assert (family.method, family.unit, family.budget, len(family.levels)) == ("patch", "patch", 1e12, 8)
    assert family.factors == {"n_channels": ["64", "256"], "size": ["8", "16"], "tokens": ["bag", "bound"]}


def test_levels_stand_in_their_natural_order_and_what_is_shared_is_no_factor():
    entries = [{"crops": 128}, {"crops": None}, {}, {"crops": 16}, {"crops": 0.5}]
    rows = (
        example_rows()
        .iloc[: len(entries)]
        .assign(
            method=list("abcde"),
            unit="patch",
            options=[json.dumps({"method": "patch", "preset": "tiny", **entry}) for entry in entries],
        )
    )
    (family,) = families(rows)
    assert family.factors == {"crops": ["default", "0.5", "16", "128", "null"]}
    assert family.fixed == {"preset": "tiny"}


def test_two_entrants_or_no_option_that_varies_make_no_family():
    assert families(example_rows()) == []
    assert families(grid(by_hand, factors={"size": [8, 16], "tokens": ["bag"], "n_channels": [64]})) == []


def test_a_grid_worked_by_hand():
    whole = grids(grid(by_hand))
    table, effect = means(whole), effects(whole).set_index("factor")
    assert mean_of(table, "size", "16")["value"] == pytest.approx(0.3 + 0.1 + 0.02 + 0.1)
    assert mean_of(table, "size", "16", "tokens", "bag")["value"] == pytest.approx(0.3 + 0.1 + 0.1)
    assert mean_of(table, "size", "16")[["n_present", "n_expected"]].tolist() == [4 * 2 * 2] * 2
    assert effect["best"].to_dict() == {"n_channels": "64", "size": "16", "tokens": "bound"}
    assert effect["difference"].to_dict() == pytest.approx({"n_channels": 0.0, "size": 0.1, "tokens": 0.04}, abs=1e-12)
    assert effect[["low", "high"]].loc["size"].tolist() == pytest.approx([0.1, 0.1]), (
        "the same for every donor and seed"
    )
    # Two levels that are d apart hold d²/4: 0.0025 the size, 0.0004 the tokens, 0.01 the donors. There is no noise.
    assert effect["share"].to_dict() == pytest.approx({"n_channels": 0, "size": 25 / 129, "tokens": 4 / 129}, abs=1e-12)
    assert effect["share_donors_seeds"].iloc[0] == pytest.approx(100 / 129)
    assert effect[["share_interactions", "share_rest"]].to_numpy() == pytest.approx(0, abs=1e-12)
    assert (effect["p"] >= 0.5).all() and (effect.loc[["size"], "verdict"] == "too few donors to tell").all()


def test_the_shares_are_those_of_an_outside_analysis_of_variance():
    rows = random_grid(0, donors="ABC", seeds=(0, 1, 2))
    long = rows[rows["task"] == "domain"]
    long = long.assign(**pd.DataFrame([json.loads(text) for text in long["options"]], index=long.index))
    long["repeat"] = long["donor"] + long["seed"].astype(str)
    table = anova_lm(ols("value ~ C(size) * C(tokens) * C(n_channels) + C(repeat)", long).fit())
    rest = table.loc["Residual", "sum_sq"] / table.loc["Residual", "df"]
    squares = (table["sum_sq"] - table["df"] * rest) / table["sum_sq"].sum()  # epsilon squared; of the residual 0
    effect = effects(grids(rows)).set_index("factor")
    for factor in FACTORS:
        assert effect.loc[factor, "share"] == pytest.approx(squares[f"C({factor})"])
    both = sum(share for term, share in squares.items() if ":" in term)
    assert effect["share_interactions"].iloc[0] == pytest.approx(both)
    assert effect["share_donors_seeds"].iloc[0] == pytest.approx(squares["C(repeat)"])
    assert effect["share_rest"].iloc[0] == pytest.approx(1 - squares.sum())


def test_settings_that_change_nothing_hold_no_share():
    """Eta squared of noise is above 0, the more the more levels there are: here 7 / 63 on average."""
    rng = np.random.default_rng(0)
    drawn = [shares(rng.normal(size=(8, 8))) for _ in range(300)]
    mean = np.mean([main[0] for main, *_ in drawn])
    assert abs(mean) < 3 * np.std([main[0] for main, *_ in drawn]) / 300**0.5
    assert min(main[0] for main, *_ in drawn) < 0
    assert [sum(main) + others + blocks + rest for main, others, blocks, rest in drawn] == pytest.approx([1] * 300)


def test_a_mean_of_one_entrant_has_the_interval_of_the_leaderboard():
    rows = random_grid(1, donors="ABCD", factors={"size": [8, 16, 30], "tokens": ["bag", "bound"]})
    table, board = means(grids(rows)), select(leaderboard(rows), PRIMARY).set_index("method")
    for size, tokens in product(["8", "16", "30"], ["bag", "bound"]):
        ends = ["value", "low", "high"]
        assert mean_of(table, "size", size, "tokens", tokens)[ends].tolist() == pytest.approx(
            board.loc[f"patch.{size}.{tokens}", ends].tolist()
        )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**16), st.integers(-3, 3))
def test_neither_a_constant_nor_the_order_of_rows_changes_an_effect(seed, constant):
    rng = np.random.default_rng(seed)
    values = {arm: int(rng.integers(0, 64)) / 64 for arm in product(*FACTORS.values(), "ABCD", (0, 1))}
    plain = effects(grids(grid_rows(values, FACTORS)))
    moved = effects(grids(grid_rows({arm: value + constant for arm, value in values.items()}, FACTORS)))
    numbers = ["difference", "low", "high", "p", "share", "share_interactions", "share_donors_seeds", "share_rest"]
    np.testing.assert_allclose(plain[numbers].astype(float), moved[numbers].astype(float), atol=1e-9)
    shuffled = effects(grids(grid_rows(values, FACTORS).sample(frac=1, random_state=seed)))
    pd.testing.assert_frame_equal(plain, shuffled, check_exact=True)
    assert (plain["share"].sum() + plain["share_interactions"][0]) <= 1 + 1e-9


def test_a_failed_arm_costs_all_levels_alike():
    """Donor B scores higher throughout: without its arm, size 16 would seem to be worse."""

    def score(size, tokens, n_channels, donor, seed):
        failed = (size, tokens, n_channels, donor) == (16, "bag", 64, "B")
        return None if failed else by_hand(size, tokens, n_channels, donor, seed)

    effect = effects(grids(grid(score))).set_index("factor")
    assert effect.loc["size", "difference"] == pytest.approx(0.1)
    assert effect.loc["size", ["n_present", "n_expected"]].tolist() == [14, 16]
    # Its two seeds at donor B have no score: the shares rest on donor A.
    assert effect["share_donors_seeds"].iloc[0] == pytest.approx(0, abs=1e-12)
    assert effect.loc["size", "share"] == pytest.approx(25 / 29) and effect.loc["size", "n_places"] == 2


def test_a_donor_that_only_others_have_is_missing_from_the_grid():
    beside = grid(by_hand, donors="ABC", factors={"size": [8], "tokens": ["bag"], "n_channels": [64]})
    rows = pd.concat([grid(by_hand), beside.assign(method="pca", unit="none", options='{"method": "pca"}')])
    (only,) = grids(rows)
    assert only.values.shape == (2, 2, 2, 3, 2) and np.isnan(only.values[..., 2, :]).all()
    assert effects([only])["difference"].tolist() == pytest.approx([0, 0.1, 0.04], abs=1e-12)
    assert effects([only])[["n_present", "n_expected"]].to_numpy().tolist() == [[16, 24]] * 3


def test_a_level_that_mostly_failed_is_left_out_and_says_so():
    factors = FACTORS | {"size": [8, 16, 30]}
    rows = grid(lambda *arm: None if arm[0] == 30 and arm[3:] != ("A", 0) else by_hand(*arm), factors=factors)
    holed = grids(rows)
    effect = effects(holed).set_index("factor").loc["size"]
    assert (effect["n_levels"], effect["n_present"]) == (2, 16)
    assert effect["difference"] == pytest.approx(0.1) and effect["reason"] == "30: only 4 of 16 scores"
    assert effect["share"] == pytest.approx(25 / 129)
    lacking = mean_of(means(holed), "size", "30")
    assert np.isnan(lacking["value"]) and lacking["reason"] == "only 4 of 16 scores"


def test_a_combination_that_never_ran_leaves_a_hole_and_no_bias():
    """Without (16, bound) in the run, size is compared at bag alone, and the shares have a reason to be absent."""
    factors = {"size": [8, 16], "tokens": ["bag", "bound"]}
    values = {
        (*levels, donor, seed): by_hand(*levels, 64, donor, seed)
        for *levels, donor, seed in product(*factors.values(), "AB", (0, 1))
        if levels != [16, "bound"]
    }
    holed = grids(grid_rows(values, factors))
    effect = effects(holed).set_index("factor")
    assert effect["difference"].to_dict() == pytest.approx({"size": 0.1, "tokens": 0.04})
    assert effect["share"].isna().all() and effect["reason"].str.contains("1 of 4 combinations have no score").all()
    assert mean_of(means(holed), "size", "16", "tokens", "bound")["reason"] == "not in this run"
    assert mean_of(means(holed), "size", "8", "tokens", "bound")["value"] == pytest.approx(0.3 + 0.04 + 0.1)


def test_settings_that_only_change_together_have_no_effect_of_their_own():
    factors = {"size": [8, 16, 30], "n_channels": [64, 256, 1024]}
    pairs = list(zip(*factors.values(), strict=True))
    effect = effects(grids(grid_rows({(*pair, donor, 0): 0.3 for pair in pairs for donor in "AB"}, factors)))
    assert effect["p"].isna().all() and effect["reason"].str.contains("shares no other settings with the rest").all()


def test_an_entry_beside_the_grid_takes_nothing_from_it():
    """An entry that leaves all options to the method shares no setting with those that name them."""
    alone = grid(by_hand)
    alone = alone[alone["method"] == "patch.8.bag.64"].assign(method="patch", options='{"method": "patch"}')
    whole, both = effects(grids(grid(by_hand))), effects(grids(pd.concat([grid(by_hand), alone])))
    same = ["factor", "best", "worst", "difference", "low", "high", "p", "n_present", "n_expected", "share"]
    pd.testing.assert_frame_equal(whole[same], both[same])
    assert (both["reason"] == "default: shares no other settings with the rest").all()


def test_every_missing_number_has_a_reason():
    rng = np.random.default_rng(3)
    rows = grid(lambda *_: None if rng.random() < 0.3 else float(rng.random()), donors="ABC", seeds=(0, 1))
    holed = grids(rows)
    table, effect = means(holed), effects(holed)
    assert (table["value"].isna() == (table["reason"] != "")).all()
    assert (effect["reason"] != "")[effect[["share", "difference"]].isna().any(axis=1)].all()
    assert effects([]).empty and means([]).empty


def test_a_run_of_failures_gives_no_grid():
    assert grids(grid(lambda *_: None)) == []
    assert OUT_OF_MEMORY in grid(lambda *_: None)["reason"].to_numpy()


def test_the_test_of_two_levels_flips_signs_and_three_levels_change_places():
    levels = np.random.default_rng(0).normal(size=(2, 6))
    assert intervals.spread_test(levels) == pytest.approx(intervals.sign_flip(levels[0] - levels[1]))
    ordered = np.array([[0.1] * 3, [0.2] * 3, [0.4] * 3])
    assert intervals.spread_test(ordered) == pytest.approx(6 / 6**3), "every order of levels that all donors share"


def test_the_best_and_the_worst_stand_for_a_large_grid():
    factors = {"size": [4, 8, 16, 30], "n_channels": [64, 128, 256, 512]}
    score = {4: 0.1, 8: 0.2, 16: 0.4, 30: 0.3}
    rows = grid(lambda size, n, donor, seed: score[size] + n / 1e4, factors=factors, donors="ABCDEF")
    inner = between(rows, select(leaderboard(rows), PRIMARY))
    assert len(inner) == 14 > CROWD and not {"patch.16.512", "patch.4.64"} & set(inner)
    assert not (compare(rows)["question"] == OTHER).any()
    chosen = rows.replace({"method": {"patch.8.64": "A1_gene"}})  # a label that somebody gave is not folded away
    assert len(between(chosen, select(leaderboard(chosen), PRIMARY))) == 13
    assert between(example_rows(), select(leaderboard(example_rows()), PRIMARY)) == []
