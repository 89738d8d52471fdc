"""Learned, context, smoothing: each effect that was put in comes out alone; a unit must beat every smoother."""

import pytest

from benchmark.stats.champions import champions
from benchmark.stats.contests import PRIMARY
from benchmark.stats.factorial import factorial
from benchmark.stats.options import levels, varied
from benchmark.stats.smoothing import beyond_smoothing
from benchmark.stats.spread import by_level
from tests.helpers.factors import entry, factor_rows
from tests.helpers.rows import example_rows

CONTEXTS = ("self", "overlap", "slide")
EMBED = [entry("spot", "spot"), *(entry("patch", "patch", embed=context) for context in CONTEXTS)]
LEARNED, CONTEXT, SMOOTHED = 0.06, 0.03, 0.02


def score(arm: dict) -> float:
    """Training, context and smoothing each add their own, smoothing only where there is no context."""
    context = arm.get("embed", "self") != "self"
    smoothed = SMOOTHED * (arm["neighbours"] > 0) * (not context)
    return 0.2 + LEARNED * (arm["budget"] > 0) + CONTEXT * context + smoothed


@pytest.fixture(scope="module")
def crossed():
    return factorial(factor_rows(EMBED, score, donors="ABCDEFGHIJKL", neighbours=(0, 8, 63)))


def test_every_unit_context_training_and_smoothing_is_a_combination(crossed):
    assert len(crossed.combinations) == (1 + 3) * 2 * 3
    value = crossed.combinations.set_index(["unit", "context", "training", "neighbours"])["value"]
    donors = value.loc[("spot", "self", "untrained", 0)] - 0.2  # what the donors add is the same everywhere
    assert value.loc[("patch", "overlap", "trained", 63)] - donors == pytest.approx(0.2 + LEARNED + CONTEXT, abs=0.005)


def test_effects_are_those_that_were_put_in(crossed):
    by_effect = dict(list(crossed.effects.groupby("effect")))
    assert by_effect["learned"]["difference"].tolist() == pytest.approx([LEARNED] * 12, abs=0.005)
    at_once = by_effect["context"][by_effect["context"]["neighbours"] == 0]
    assert set(at_once["unit"]) == {"patch"} and set(at_once["context"]) == {"overlap", "slide"}
    assert at_once["difference"].tolist() == pytest.approx([CONTEXT] * 4, abs=0.005)
    after = by_effect["context"][by_effect["context"]["neighbours"] == 8]
    assert after["difference"].tolist() == pytest.approx([CONTEXT - SMOOTHED] * 4, abs=0.005)
    alone = by_effect["smoothing"].set_index("context")["difference"]
    assert alone["self"].tolist() == pytest.approx([SMOOTHED] * 8, abs=0.005)
    assert alone["slide"].tolist() == pytest.approx([0] * 4, abs=0.005)
    assert set(by_effect["learned"]["verdict"]) == {"better"}


def test_mean_effects_are_those_of_their_combinations(crossed):
    _, effects, means = crossed
    each = effects.groupby(["effect", "unit"])["difference"].mean()
    assert means.set_index(["effect", "unit"])["difference"].to_dict() == pytest.approx(each.to_dict())
    assert means["effect"].tolist() == ["learned", "learned", "context", "smoothing", "smoothing"]


def test_effects_are_paired_within_whatever_else_differs():
    """Two sizes far apart, of which only one was embedded in both ways: the other tells nothing of context."""
    entries = [entry("patch", "patch", embed=c, size=4) for c in ("self", "overlap")]
    entries.append(entry("patch", "patch", embed="overlap", size=16))
    rows = factor_rows(entries, lambda arm: score(arm) + 0.3 * (arm["size"] == 16))
    effects = factorial(rows).effects
    context = effects[(effects["effect"] == "context") & (effects["neighbours"] == 0)]
    assert context["difference"].tolist() == pytest.approx([CONTEXT] * 2, abs=0.005)


def test_no_factor_no_table():
    assert factorial(example_rows()) is None
    assert factorial(factor_rows([entry("patch", "patch", embed="self"), entry("spot", "spot")], score)) is None


UNITS = [entry("spot", "spot"), entry("patch", "patch"), entry("pca", "none")]


def beyond(scores: dict, entries: list = UNITS, **run):
    """`scores`: of each unit trained, as it is and smoothed, and of the untrained trunks."""

    def value(arm):
        key = arm["unit"] if arm["budget"] > 0 or arm["unit"] == "none" else "untrained"
        return scores[key][arm["neighbours"] > 0]

    rows = factor_rows(entries, value, **run)
    return beyond_smoothing(rows, champions(rows))


AHEAD = {"spot": (0.3, 0.4), "patch": (0.5, 0.5), "none": (0.3, 0.42), "untrained": (0.2, 0.3)}


def test_a_unit_that_beats_every_smoother_is_better_and_the_hardest_rival_is_named():
    row = beyond(AHEAD).iloc[0]
    assert (row["unit"], row["verdict"], row["budget"]) == ("patch", "better", 4e12)
    assert row["rival"] == "PCA after a mean over 8 neighbours"
    assert row["difference"] == pytest.approx(0.08, abs=0.01) and row["p_holm"] == pytest.approx(2 / 2**8)


@pytest.mark.parametrize("rival", ["spot", "none", "untrained"])
def test_one_smoother_that_does_as_well_is_enough_to_doubt_it(rival):
    row = beyond(AHEAD | {rival: (0.51, 0.51)}).iloc[0]
    assert row["verdict"] == "no clear difference" and row["p"] == 1 and row["difference"] < 0


def test_without_an_untrained_trunk_or_a_smoothed_rival_there_is_no_answer():
    assert beyond(AHEAD, budgets=(4e12,)).empty
    assert beyond(AHEAD, neighbours=(0,)).empty
    assert beyond(AHEAD, UNITS[1:2]).empty
    assert beyond(AHEAD, [UNITS[0], UNITS[2]]).empty


def test_levels_are_compared_with_all_else_equal():
    """A rule that was tried only at the better size gains nothing by it."""
    entries = [entry("patch", "patch", channels=rule, size=4) for rule in ("variance", "uniform")]
    entries.append(entry("patch", "patch", channels="uniform", size=16))
    rows = factor_rows(entries, lambda arm: 0.3 + 0.2 * (arm["size"] == 16), noise=0.0)
    assert varied(rows, "channels") == {"patch": 2} and varied(rows, "preset") == {}
    budget, tables = by_level(rows, "patch", "channels", PRIMARY)
    assert budget == 4e12
    assert tables["variance"].to_numpy() == pytest.approx(tables["uniform"].to_numpy())


def test_an_option_left_to_the_method_is_a_level_of_its_own():
    rows = factor_rows([entry("patch", "patch"), entry("patch", "patch", channels="moran"), UNITS[0]], lambda arm: 0.3)
    assert levels(rows, "channels")["level"].to_dict() == {"patch": "default", "patch.channels-moran": "moran"}
