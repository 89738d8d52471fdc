"""What was learned: verdicts worked by hand, and laws that exact data give back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.stats.champions import champions
from benchmark.stats.contests import PRIMARY
from benchmark.stats.learned import learned, that_learned
from benchmark.stats.scaling import courses, laws, line, means, slopes
from tests.helpers.factors import course_table, entry, factor_rows, objective_rows

SPOT, PATCH = entry("spot", "spot"), entry("patch", "patch")


def of(told, **run) -> pd.Series:
    """The judged row of the spot unit at one trained budget."""
    return learned(objective_rows([SPOT], told, budgets=(1e12,), **run)).iloc[0]


def test_a_case_worked_by_hand():
    """Donor A: r2 0.5 and 0.3 with two seeds; B: 0.2 and 0.4. Kriging, the best of all, has 0.25 and 0.15."""
    r2 = {("A", 0): 0.5, ("A", 1): 0.3, ("B", 0): 0.2, ("B", 1): 0.4}
    others = {"A": {"r2_own": 0.1, "r2_kriging": 0.25}, "B": {"r2_own": 0.2, "r2_kriging": 0.15}}
    row = of(lambda arm: {"r2": r2[arm["donor"], arm["seed"]], **others[arm["donor"]]}, donors="AB", seeds=(0, 1))
    assert (row["untaught"], row["n_donors"], row["n_seeds"]) == ("kriging", 2, 2)
    assert row["value"] == pytest.approx((0.4 + 0.3) / 2) and row["untaught_value"] == pytest.approx(0.2)
    assert row["difference"] == pytest.approx((0.4 - 0.25 + 0.3 - 0.15) / 2)
    # The least mean that a draw can give: donor B with seed 0 in all places: 0.2 − 0.15.
    assert row["difference_low"] == pytest.approx(0.05) and row["verdict"] == "learned"


@pytest.mark.parametrize(
    "told, untaught, verdict",
    [
        ({"r2": 0.3, "r2_own": 0.1, "r2_kriging": 0.2}, "kriging", "learned"),
        ({"r2": 0.15, "r2_own": 0.1, "r2_kriging": 0.2}, "kriging", "did not learn"),
        ({"r2": -0.1, "r2_own": -0.2}, "zero", "did not learn"),
        ({"r2": 0.1}, "zero", "learned"),
        ({"r2": 0.2, "r2_own": 0.2}, "own", "did not learn"),
    ],
)
def test_who_is_above_every_untaught_predictor_has_learned(told, untaught, verdict):
    row = of(lambda arm: told)
    assert (row["untaught"], row["verdict"]) == (untaught, verdict)


def test_above_on_average_is_not_enough_where_donors_disagree():
    row = of(lambda arm: {"r2": 0.3 if arm["donor"] in "AB" else -0.05}, donors="ABCD")
    assert row["difference"] > 0 > row["difference_low"] and row["verdict"] == "did not learn"


def test_with_one_fold_every_slide_and_seed_must_be_above():
    """Donors of one fold share a model, so they do not say how another model would do."""
    assert of(lambda arm: {"r2": 0.1}, folds=1)["verdict"] == "learned"
    lost = of(lambda arm: {"r2": 0.1 - 0.11 * (arm["donor"] == "A" and arm["seed"] == 0)}, folds=1)
    assert lost["difference_low"] > 0 and lost["verdict"] == "did not learn"
    assert of(lambda arm: {"r2": 0.1}, donors="A", seeds=(0,))["verdict"] == "learned"


def test_budget_0_is_untrained_and_a_run_that_tells_nothing_has_no_rows():
    rows = objective_rows([SPOT], lambda arm: {"r2": 0.9}, budgets=(0.0, 1e12))
    assert learned(rows)["verdict"].tolist() == ["untrained", "learned"]
    scored = factor_rows([SPOT, PATCH], lambda arm: 0.3, donors="AB")
    assert learned(scored).empty and that_learned(scored, learned(scored)) is scored


@given(st.floats(-1, 0.99), st.floats(-1, 0.99), st.floats(0, 0.05))
def test_a_verdict_needs_a_mean_above_0_and_above_the_others(r2, own, noise):
    row = of(lambda arm: {"r2": r2 - noise * (arm["donor"] == "A"), "r2_own": own}, donors="AB", seeds=(0, 1))
    assert (row["verdict"] == "learned") == (r2 - noise > max(own, 0)) or abs(r2 - noise - max(own, 0)) < 1e-9
    assert row["difference"] <= row["value"] + 1e-9


def test_who_did_not_learn_stands_for_no_unit_at_that_budget():
    rows = factor_rows([SPOT, PATCH], lambda arm: 0.3, donors="ABCDEFGH")
    told = objective_rows([SPOT, PATCH], lambda arm: {"r2": 0.2 * (arm["method"] == "patch" or arm["budget"] == 4e12)})
    rows = pd.concat([rows, told])
    units = {m.budget: set(u) for m, u in champions(that_learned(rows, learned(rows))).items() if m.contest == PRIMARY}
    assert units == {1e12: {"patch"}, 4e12: {"spot", "patch"}}


def test_the_exponent_of_an_exact_law_is_given_back():
    """1 − R² = a FLOPs^-0.15, with another a for each donor."""
    rows = objective_rows([SPOT], lambda arm: {"r2": 0.5})
    course = courses(rows, course_table(rows, lambda arm, flops: 1 - (20 + ord(arm["donor"])) * flops**-0.15))
    law = laws(course)["spot"]
    assert law.slope == pytest.approx(-0.15) and law.low == pytest.approx(-0.15) and law.high == pytest.approx(-0.15)
    assert law.n_flops == 5, "a quarter, a half and the whole of 1 and 4 TFLOPs: 1 TFLOP is in both"
    points = means(course)
    assert len(points) == 6 and points.loc[points["end"], "flops"].tolist() == [1e12, 4e12]
    fitted = 1 - 10 ** (law.at + law.slope * np.log10(points["flops"] / law.flops))
    assert points["value"].to_numpy() == pytest.approx(fitted.to_numpy())


def test_a_law_takes_three_flops_and_noise_widens_its_interval():
    rows = objective_rows([SPOT], lambda arm: {"r2": 0.5}, budgets=(0.0, 1e12))
    two = courses(rows, course_table(rows, lambda arm, flops: 1 - flops**-0.1, shares=(0.5, 1.0)))
    assert laws(two)["spot"].n_flops == 2 and np.isnan(laws(two)["spot"].slope)
    noise = np.random.default_rng(0)
    noisy = courses(rows, course_table(rows, lambda arm, flops: 1 - flops**-0.1 * (1 + noise.normal(0, 0.1))))
    law = laws(noisy)["spot"]
    assert law.low < law.slope < law.high and law.low < -0.1 < law.high


def test_the_slope_of_a_score_is_its_gain_for_ten_times_the_flops():
    rows = factor_rows([SPOT], lambda arm: 0.02 * np.log10(arm["budget"]) if arm["budget"] else 0.0, noise=0.0)
    cost = {"split": "none", "task": "cost", "setting": "pretraining", "metric": "flops"}
    spent = rows[(rows["task"] == "arm") & (rows["budget"] > 0)]
    rows = pd.concat([rows, spent.assign(value=spent["budget"], **cost)])
    slope = slopes(rows, PRIMARY)["spot"]
    assert (slope.n_flops, slope.slope) == (2, pytest.approx(0.02))
    one = slopes(rows[rows["budget"] != 4e12], PRIMARY)["spot"]
    assert one.n_flops == 1 and np.isnan(one.slope)


def test_a_line_is_over_the_donors_that_have_every_point():
    """Donor B, which is far lower, lacks the second point: it moves nothing."""
    index = pd.MultiIndex.from_tuples([("A", "A"), ("B", "B")], names=["cluster", "block"])
    first, second = (pd.DataFrame({0: values}, index) for values in ([0.1, -5.0], [0.3, np.nan]))
    assert line([(1e9, first), (1e10, second)], np.asarray, 2).slope == pytest.approx(0.2)
