"""Did it learn? The page says so in words, draws it, and gives no verdict to a unit that did not."""

import re

import pandas as pd
import pytest

from benchmark.core.curves import NO_CURVES
from benchmark.report.glance import DID_LEARN, QUESTIONS, glance
from benchmark.report.learning_plot import BEYOND, learning
from benchmark.report.page import write_report
from benchmark.report.side_plot import by_side
from benchmark.stats.contests import PRIMARY, leading
from benchmark.stats.evidence import evidence
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.leakage import leakage
from benchmark.stats.learned import learned
from benchmark.stats.scaling import courses, laws, means
from tests.helpers.factors import course_table, entry, factor_rows, objective_rows
from tests.helpers.page import Page

DONORS = "ABCDEFGHIJKLM"
SIDES = {1: "spot", 4: "patch", 8: "patch", 16: "patch", "slide": "slide"}
UNITS = [entry("context", unit, side=side) for side, unit in SIDES.items()]
PCA = [entry("pca", "none"), entry("pca", "none", label="pca_strong", genes="moran")]
DULL = "context.side-slide"


def score(arm: dict) -> float:
    """The slide is far ahead, and then the patches, the larger the better."""
    return {1: 0.3, 4: 0.4, 8: 0.42, 16: 0.44, "slide": 0.6}.get(arm.get("side"), 0.2 + 0.1 * ("genes" in arm))


def r2(arm: dict) -> dict[str, float]:
    return {"r2": 0.05 if arm["method"] == DULL else 0.3, "r2_own": 0.1, "r2_kriging": 0.15}


@pytest.fixture(scope="module")
def rows():
    told = objective_rows(UNITS, r2, donors=DONORS, seeds=(0,), folds=13)
    return pd.concat([factor_rows([*UNITS, *PCA], score, donors=DONORS, seeds=(0,)), told], ignore_index=True)


@pytest.fixture(scope="module")
def curves(rows):
    return course_table(rows, lambda arm, flops: 1 - flops**-0.02)


@pytest.fixture(scope="module")
def written(rows, curves, tmp_path_factory):
    path = tmp_path_factory.mktemp("learning") / "report.html"
    return write_report(rows, leaderboard(rows), None, curves, {}, path).read_text(encoding="utf-8")


def section(html: str, name: str) -> str:
    """The text of a section of the page."""
    return " ".join(Page(re.split("<h2 ", html.split(f'<h2 id="{name}"')[1])[0]).text)


def answers(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    found = glance(rows, evidence(rows, PRIMARY, []), leakage(rows))
    return {answer["question"]: (answer["short"], answer["text"]) for answer in found}


def test_who_is_below_a_predictor_that_learned_nothing_did_not_learn(written):
    text = section(written, "learned")
    assert text.count("did not learn") == 3, "in the rule, and at two budgets"
    assert "kriging 0.150" in text and "-0.100" in text and "+0.150" in text
    assert f'<b>{DULL}</b>, 4 TFLOP <b class="bad">did not learn</b> (R² 0.050, kriging 0.150)' in written
    assert "did not learn" not in section(written, "verdicts").split(DULL)[0]


def test_it_gets_no_verdict_as_a_unit_though_its_score_is_the_best(rows, written):
    unit, budget, *_ = (answers(rows)[question] for question in QUESTIONS)
    for short, text in (unit, budget):
        assert "slide leads" not in text and "slide wins" not in text and "slide is best" not in text
        assert text.endswith(f" {DULL} did not learn at 1 TFLOP or 4 TFLOP and took no part.")
        assert short in ("yes", "2 of 2")
    assert "patch leads spot" in unit[1]
    won = section(written, "winners")
    assert f"{DULL} did not learn" in won and "patch wins" in won and "slide wins" not in won
    everyone = answers(rows[rows["task"] != "objective"])
    assert "slide is best" in everyone[QUESTIONS[0]][1], "of methods that do not tell, all take part"


def test_of_many_that_learned_the_sentence_names_the_best_and_counts_the_others_and_the_table_has_all(tmp_path):
    units = [entry("context", "patch", side=8, hidden=share / 100) for share in range(10, 30, 2)]

    def own_share(arm: dict) -> dict[str, float]:
        return {"r2": float(arm["method"].rsplit("-")[-1]), "r2_own": 0.19}

    told = objective_rows(units, own_share, donors=DONORS, seeds=(0,), folds=13)
    rows = pd.concat([factor_rows(units, lambda arm: 0.5, donors=DONORS, seeds=(0,)), told], ignore_index=True)
    short, text = answers(rows)[DID_LEARN]
    assert short == "5 of 10" and "others" not in text, "five names each"
    harder = rows.assign(value=rows["value"].where(rows["metric"] != "r2_own", 0.29))
    short, text = answers(harder)[DID_LEARN]
    assert short == "not shown" and text.endswith(" and 5 others did not learn.")
    assert text.index("hidden-0.28") < text.index("hidden-0.2 ") and "hidden-0.18" not in text
    page = write_report(harder, leaderboard(harder), None, NO_CURVES, {}, tmp_path / "report.html").read_text("utf-8")
    assert all(f"hidden-{share / 100:g}" in section(page, "learned") for share in range(10, 30, 2))


def test_the_question_is_answered_first_and_only_where_a_method_tells(rows):
    found = answers(rows)
    assert list(found) == [DID_LEARN, *QUESTIONS]
    short, text = found[DID_LEARN]
    assert short == "4 of 5" and text.endswith(f"; {DULL} (−0.10 [−0.10, −0.10]) did not learn.")
    assert DID_LEARN not in answers(rows[rows["task"] != "objective"])


def test_where_no_unit_learned_no_unit_is_judged(rows):
    dull = rows.assign(value=rows["value"].mask(rows["metric"] == "r2", 0.0))
    found = answers(dull)
    assert found[DID_LEARN][0] == "not shown"
    for question in QUESTIONS[:2]:
        short, text = found[question]
        assert short == "cannot tell" and text.startswith("This run cannot tell: no trained unit has learned its")
    assert found[QUESTIONS[2]][1] == "This run cannot tell: no patch and no slide has learned its objective."


def test_a_page_without_r2_has_no_such_section(rows, tmp_path):
    silent = rows[rows["task"] != "objective"]
    html = write_report(silent, leaderboard(silent), None, NO_CURVES, {}, tmp_path / "page.html").read_text("utf-8")
    assert "Did it learn?" not in html and "did not learn" not in html


def test_r2_is_drawn_against_flops_with_its_law_a_decade_beyond(rows, curves):
    course = courses(rows, curves)
    figure = learning(means(course), learned(rows), laws(course))
    lines = {trace.name: trace for trace in figure.data if trace.name}
    assert list(lines)[:5] == [f"context.side-{side}" for side in SIDES]
    assert list(lines["context.side-4"].x) == [1e12, 4e12], "the ends of the trainings"
    beyond = [trace for trace in figure.data if "extrapolated" in (trace.hovertemplate or "")]
    assert len(beyond) == 5 and all(trace.line.dash == "dash" and trace.opacity < 0.5 for trace in beyond)
    assert [(min(trace.x), max(trace.x)) for trace in beyond] == [pytest.approx((4e12, BEYOND * 4e12))] * 5
    assert beyond[0].y[-1] == pytest.approx(1 - (BEYOND * 4e12) ** -0.02)
    assert any("extrapolated" in note.text for note in figure.layout.annotations)
    untaught = [trace for trace in figure.data if "untaught" in (trace.hovertemplate or "")]
    assert [list(trace.y) for trace in untaught] == [pytest.approx([0.15, 0.15])] * 5
    assert learning(means(courses(rows, NO_CURVES)), learned(rows), {}) is None


def test_the_score_is_drawn_against_the_side_with_the_slide_last(rows):
    board = leaderboard(rows)
    figure = by_side(board, rows, leading(board)[1])
    assert [trace.name for trace in figure.data] == ["untrained", "1 TFLOP", "4 TFLOP"]
    assert all(list(trace.x) == ["1", "4", "8", "16", "slide"] for trace in figure.data)
    assert figure.data[2].y[4] == max(figure.data[2].y)
    assert [note.text for note in figure.layout.annotations] == ["pca_strong"], "the best of all PCA"
    one = rows[rows["method"].isin(["context.side-4", "pca"])]
    assert by_side(leaderboard(one), one, PRIMARY) is None
