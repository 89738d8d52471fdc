"""At a glance: in each state of a run, each question is answered by what the numbers allow."""

import re

import pandas as pd
import pytest

from benchmark.report.glance import CONDITION, QUESTIONS, glance
from benchmark.stats.contests import PRIMARY
from benchmark.stats.evidence import evidence
from benchmark.stats.grids import grids
from benchmark.stats.leakage import leakage
from benchmark.stats.rows import arms
from tests.helpers.factors import entry, factor_rows
from tests.helpers.rows import example_rows

UNIT, BUDGET, SMOOTHING, CHANNELS, LEAKAGE = QUESTIONS
UNITS = [entry(unit, unit) for unit in ("spot", "patch", "slide")]
PCA = entry("pca", "none")
MANY = "ABCDEFGHIJKLM"  # donors enough for a p that Holm's correction over all tests of the page leaves below 0.05
INTERVAL = r"[+−]\d\.\d\d \[[+−]\d\.\d\d, [+−]\d\.\d\d\]"


def answers(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    answers = glance(rows, evidence(rows, PRIMARY, grids(rows)), leakage(rows))
    texts = [(answer["question"], answer["short"], answer["text"]) for answer in answers]
    return {question: (short, text.replace("\N{NO-BREAK SPACE}", " ")) for question, short, text in texts}


def ahead(arm: dict) -> float:
    """Patch is ahead at the largest budget only; smoothing helps nobody."""
    return 0.3 + 0.02 * (arm["budget"] > 0) + 0.1 * (arm["unit"] == "patch") * (arm["budget"] == 4e12)


@pytest.fixture(scope="module")
def clear():
    return answers(factor_rows([*UNITS, PCA], ahead, donors=MANY))


@pytest.fixture(scope="module")
def level():
    return answers(factor_rows([*UNITS, PCA], lambda arm: 0.3, noise=0.05, donors=MANY))


def test_a_unit_that_is_ahead_on_every_donor_matters(clear):
    short, text = clear[UNIT]
    assert short == "yes"
    assert re.fullmatch(
        rf"At 4 TFLOP patch is best and \w+ worst, {INTERVAL} macro-F1 apart \(p .*\): a clear difference.", text
    )
    short, text = clear[BUDGET]
    assert short == "1 of 2"
    assert re.fullmatch(
        rf"Patch wins at 4 TFLOP \({INTERVAL}\); no clear winner: \w+ leads \w+ at 1 TFLOP by {INTERVAL}.", text
    )
    short, text = clear[SMOOTHING]
    assert short == "yes" and re.search(
        rf"patch beats all that only smooths, .* by the least: {INTERVAL} macro-F1.", text
    )


def test_equals_are_not_told_apart(level):
    for question in (UNIT, BUDGET, SMOOTHING):
        assert level[question][0] == "not shown"
    assert level[UNIT][1].endswith("no clear difference.")
    assert level[BUDGET][1].startswith("No clear winner: ") and "wins" not in level[BUDGET][1]


def test_two_units_lead_one_another():
    """The page tests 9 things: both methods against their untrained trunks, the one against the other, the winners of
    2 budgets with and without smoothing, one unit against all that smooths, and the best unit against the worst.
    9 · 2/2¹⁰ = 0.018."""
    text = answers(factor_rows(UNITS[:2], ahead, donors=MANY[:10]))[UNIT][1]
    assert re.fullmatch(rf"At 4 TFLOP patch leads spot by {INTERVAL} macro-F1 \(p = 0.018\): a clear difference.", text)


def test_few_donors_do_not_tell_however_far_apart():
    few = answers(factor_rows([*UNITS[:2], PCA], ahead, donors="ABC", budgets=(0.0, 4e12)))
    assert few[UNIT][0] == "not shown" and few[UNIT][1].endswith("too few donors to tell.")
    assert few[BUDGET][1].startswith("This run has one budget; too few donors to tell: patch leads spot")
    assert few[SMOOTHING][0] == "not shown" and few[SMOOTHING][1].endswith("too few donors to tell.")


def test_one_unit_cannot_tell():
    one = answers(factor_rows([UNITS[1], PCA], ahead))
    for question in (UNIT, BUDGET):
        assert one[question] == ("cannot tell", "This run cannot tell: it has only one unit, patch.")


def test_units_at_different_budgets_cannot_tell():
    rows = pd.concat([factor_rows(UNITS[:1], ahead, budgets=(1e12,)), factor_rows(UNITS[1:2], ahead, budgets=(4e12,))])
    assert answers(rows)[UNIT][1] == "This run cannot tell: no two units share a budget."


def test_units_without_a_donor_in_common_cannot_tell():
    rows = pd.concat([factor_rows(UNITS[:1], ahead, donors="AB"), factor_rows(UNITS[1:2], ahead, donors="CD")])
    assert answers(rows)[UNIT][1] == "This run cannot tell: no donor was scored for every unit."


@pytest.mark.parametrize(
    "entries, run, why",
    [
        ([UNITS[0], PCA], {}, "it trains neither patch nor slide"),
        ([*UNITS, PCA], {"budgets": (4e12,)}, "it has no untrained trunk (budget 0)"),
        (
            [*UNITS, PCA],
            {"neighbours": (0,)},
            "it has no score of PCA or the spot unit after the mean over 8 neighbours",
        ),
    ],
)
def test_smoothing_says_what_it_lacks(entries, run, why):
    assert answers(factor_rows(entries, ahead, **run))[SMOOTHING] == ("cannot tell", f"This run cannot tell: {why}.")


def test_a_smoother_that_does_better_is_named():
    rows = factor_rows([*UNITS[:2], PCA], lambda arm: ahead(arm) + 0.3 * (arm["unit"] == "none"))
    short, text = answers(rows)[SMOOTHING]
    assert short == "not shown"
    assert text.startswith("At 4 TFLOP patch does not lead PCA after a mean over 8 neighbours: −0.18 [")


RULES = [entry("patch", "patch", channels=rule) for rule in ("variance", "uniform", "moran")]


def test_channels():
    assert (
        answers(factor_rows(UNITS, ahead))[CHANNELS][1] == "This run cannot tell: it has one rule of choosing channels."
    )
    better = factor_rows(
        RULES,
        lambda arm: 0.3 + 0.1 * (arm["channels"] == "moran") - 0.1 * (arm["channels"] == "uniform"),
        donors=MANY,
    )
    short, text = answers(better)[CHANNELS]
    assert short == "yes"
    assert text.startswith("At 4 TFLOP the best of 3 rules, moran, leads the worst, uniform, by +0.2")
    equal = answers(factor_rows(RULES, lambda arm: 0.3, noise=0.05, donors=MANY))[CHANNELS]
    assert equal[0] == "not shown" and equal[1].endswith("no clear difference.")
    apart = [entry("patch", "patch", channels="moran", size=4), entry("patch", "patch", channels="uniform", size=8)]
    assert answers(factor_rows(apart, lambda arm: 0.3))[CHANNELS] == (
        "cannot tell",
        "This run cannot tell: no two rules were tried on the same donors with all else equal.",
    )


def test_leakage_is_told_with_its_intervals_and_without():
    rows = example_rows()
    short, text = answers(rows)[LEAKAGE]
    assert short == "measured"
    assert re.fullmatch(
        rf"Under random spots slide, 4 TFLOP reaches accuracy 0\.\d\d, of which {INTERVAL} is gone with donors "
        rf"held out \(of random numbers {INTERVAL}\); noise averaged over neighbouring spots, which holds only their "
        r"positions, reaches 0\.\d\d there, "
        rf"and the method less that is {INTERVAL}\.",
        text,
    )
    assert answers(rows[rows["method"] != "noise"])[LEAKAGE][1].endswith("as the run has no noise control.")
    assert answers(rows[rows["split"] != "random"])[LEAKAGE][1] == "This run cannot tell: it has no random split."
    untrained = rows[rows["budget"] == 0]
    assert answers(untrained)[LEAKAGE][0] == "cannot tell"


def test_a_run_of_failures_cannot_tell_anything():
    failed = arms(example_rows()).assign(value=None, status="failed", reason="no")
    assert {short for short, _ in answers(failed).values()} == {"cannot tell"}


def test_images_that_do_not_follow_from_the_expression_are_named():
    condition = {
        "task": "generation",
        "setting": "condition",
        "split": "donor",
        "unit": "spot",
        "status": "ok",
        "budget": 1e12,
    }
    measured = [("follows", (0.4, 0.3), 0.0), ("deaf", (0.01, -0.03), 1.0)]
    generated = [
        dict(example_rows().iloc[0]) | condition | {"method": method, "metric": metric, "value": value}
        for method, gains, ignored in measured
        for metric, value in [
            ("condition_gain", gains[0]),
            ("condition_gain", gains[1]),
            ("condition_ignored", ignored),
        ]
    ]
    rows = pd.concat([example_rows(), pd.DataFrame(generated)], ignore_index=True)
    assert answers(rows)[CONDITION] == (
        "1 of 2",
        "The condition is used: follows (gain +0.35); ignored: deaf (gain −0.01).",
    )
    assert CONDITION not in answers(example_rows())
