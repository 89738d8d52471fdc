"""Paired differences: worked by hand, their tests against statsmodels, and when a verdict is given."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.multitest import multipletests

from benchmark.stats import intervals
from benchmark.stats.comparisons import compare
from benchmark.stats.contests import PRIMARY
from benchmark.stats.correction import CLEAR, TOO_FEW, corrected
from tests.helpers.rows import DONORS, example_rows, measured, table


@pytest.fixture(scope="module")
def rows():
    return example_rows()


def test_a_mean_that_lacks_a_slide_is_compared_with_nothing():
    """Slide A2 is hard; the trained method has no score of it."""
    pca = measured("pca", {("A", "A1", 0): 0.9, ("A", "A2", 0): 0.1, ("B", "B1", 0): 0.5})
    patch = measured("patch", {("A", "A1", 0): 0.8, ("B", "B1", 0): 0.4}, unit="patch", budget=1.0)
    test = compare(table(*pca, *patch)).iloc[0]
    assert test["difference"] == pytest.approx(-0.1) and (test["n_donors"], test["n_pairs"], test["n_possible"]) == (
        1,
        1,
        2,
    )


def test_all_tests_of_a_page_are_corrected_together():
    rng = np.random.default_rng(0)
    p = rng.random(7) / 20
    a, b = pd.DataFrame({"p": p[:3], "least": 0.001}), pd.DataFrame({"p": [p[3], np.nan, *p[4:]], "least": 0.001})
    outside = multipletests(p, method="holm")[1]
    both = corrected(a, b)
    assert both[0]["p_holm"].tolist() == pytest.approx(outside[:3])
    assert both[1]["p_holm"].dropna().tolist() == pytest.approx(outside[3:])
    assert both[1]["verdict"].iloc[1] == ""
    assert set(corrected(a.assign(least=0.02))[0]["verdict"]) <= {CLEAR, TOO_FEW}, "3 · 0.02 is not below 0.05"


def test_a_difference_favours_the_first_whatever_the_direction_of_the_metric(rows):
    for contest in (PRIMARY, PRIMARY._replace(task="reconstruction", setting="hole 4", metric="mse")):
        tests = compare(rows, contest)
        trained = tests[tests["question"] == "trained against untrained"]
        assert set(trained["a"]) == {"spot", "patch", "slide"} and (trained["difference"] > 0).all()
        assert (trained["low"] > 0).all() and (trained["n_donors"] == len(DONORS)).all()
        assert trained.set_index("a")["n_pairs"].to_dict() == {"spot": 18, "patch": 18, "slide": 17}


@pytest.mark.parametrize(
    "gains, verdict",
    [
        ([0.1, 0.1, 0.2, 0.1], "too few donors to tell"),
        ([0.1, 0.1, 0.2, 0.1, 0.1, 0.2], "better"),
        ([-0.1, -0.1, -0.2, -0.1, -0.1, -0.2], "worse"),
        ([0.1, -0.1, 0.2, -0.2, 0.1, -0.1], "no clear difference"),
    ],
)
def test_a_verdict_needs_enough_donors_that_agree(gains, verdict):
    trained = {("ABCDEF"[i], "one", 0): 0.5 + gain for i, gain in enumerate(gains)}
    control = dict.fromkeys(trained, 0.5)
    rows = table(*measured("patch", trained, unit="patch", budget=1.0), *measured("pca", control))
    assert compare(rows)["verdict"].tolist() == [verdict]


def test_the_difference_uses_only_what_both_have():
    a = measured("spot", {("A", "A1", 0): 0.9, ("A", "A1", 1): 0.8, ("B", "B1", 0): 0.7}, unit="spot", budget=1.0)
    b = measured("pca", {("A", "A1", 0): 0.5, ("B", "B1", 0): 0.4, ("C", "C1", 0): 0.0})
    test = compare(table(*a, *b)).iloc[0]
    assert (test["difference"], test["n_donors"]) == (pytest.approx(((0.9 - 0.5) + (0.7 - 0.4)) / 2), 2)


def test_p_of_signs_that_all_agree():
    assert intervals.sign_flip(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(2 / 2**6)
    assert intervals.sign_flip(np.array([0.1, -0.1, 0.2, -0.2])) == 1


@patch("gc.collect", lambda *_: 0)  # statsmodels collects garbage at every call, 50 ms
@given(arrays(float, st.integers(1, 8), elements=st.floats(0, 1)))
def test_holm_agrees_with_statsmodels(p):
    assert intervals.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
