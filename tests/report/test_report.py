"""The report: loads nothing, says the status first, leaves nothing out, and is the same every time."""

import io
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from benchmark.core.curves import NO_CURVES
from benchmark.core.scores import status_line
from benchmark.experiment.maps import NO_MAP
from benchmark.report import findings, ledger, maps, tables
from benchmark.report.glance import QUESTIONS
from benchmark.report.mlflow_records import run_records
from benchmark.report.page import write_report
from benchmark.report.picture import readme_figure
from benchmark.report.terminal import print_board
from benchmark.stats.contests import PRIMARY, leading, select
from benchmark.stats.evidence import evidence
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.leakage import leakage
from benchmark.stats.rows import arms
from tests.helpers.factors import PARAMETERS, entry, factor_rows
from tests.helpers.page import Page
from tests.helpers.rows import OUT_OF_MEMORY, entrants, example_predictions, example_rows

PAIR = {"transductive": False, "shared": {"donors": ["A"]}}
MANIFEST = {
    "code": {"commit": "0123abc"},
    "data": {"sha256": "feed"},
    "config": {"seeds": [0, 1, 2]},
    "folds": {"f": PAIR},
}


@pytest.fixture(scope="module")
def rows():
    return example_rows()


@pytest.fixture(scope="module")
def written(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(rows, leaderboard(rows), example_predictions(), NO_CURVES, MANIFEST, path)


@pytest.fixture(scope="module")
def page(written):
    return Page(written.read_text())


def test_the_same_rows_give_the_same_bytes(rows, written, tmp_path):
    again = write_report(rows, leaderboard(rows), example_predictions(), NO_CURVES, MANIFEST, tmp_path / "again.html")
    assert again.read_bytes() == written.read_bytes()


def test_nothing_is_loaded_from_anywhere(written, page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "data", "poster", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    style = re.search(r"<style>(.*?)</style>", written.read_text(), re.DOTALL).group(1)
    assert "url(" not in style and "@import" not in style


def test_the_first_line_is_the_status_and_is_marked_if_an_arm_failed(rows, page, tmp_path):
    assert page.text[0] == status_line(arms(rows))
    assert ("p", {"class": "status failed"}) in page.elements
    whole = rows[rows["status"] != "failed"]
    page = Page(write_report(whole, leaderboard(whole), None, NO_CURVES, {}, tmp_path / "whole.html").read_text())
    assert ("p", {"class": "status failed"}) not in page.elements
    assert "This run kept no predictions." in page.text


def test_failures_and_the_manifest_are_told(page):
    text = " ".join(page.text)
    assert OUT_OF_MEMORY in text and "the method does not reconstruct" in text
    assert "0123abc" in text and "feed" in text
    assert "held-out slides, same donor" in text


def test_a_failed_arm_is_one_line_whatever_tasks_it_lacks(rows):
    failed = [row for row in ledger.absent(rows) if row["status"] == "failed"]
    assert [(row["task"], row["methods"], row["where"]) for row in failed] == [("arm", "slide, 4 TFLOP", "C, seed 1")]


def test_arms_that_failed_alike_are_one_line_with_one_traceback(rows):
    rows = rows.copy()
    lost = (rows["method"] == "patch") & (rows["metric"] == "status") & (rows["budget"] == 0)
    files = "arms/" + rows["method"] + "/" + rows["fold"] + "/" + rows["seed"].astype(str) + "/error.txt"
    rows.loc[lost, ["value", "status"]] = [None, "failed"]
    rows.loc[lost, "reason"] = "ValueError: no; traceback: " + files[lost]
    (line,) = (row for row in ledger.absent(rows) if row["reason"].startswith("ValueError"))
    assert line["reason"] == "ValueError: no; traceback: " + files[lost].min()
    assert line["methods"] == "patch (untrained)" and line["where"] == f"{lost.sum()} rows"


def test_a_long_reason_wraps_wherever_it_stands(rows, tmp_path):
    """Of a failed arm the reason ends with a path, which has no blank to wrap at."""
    reason = "worker exited with code -9; see arms/" + "patch.size-16.channels-moran.preset-tiny/" * 4 + "error.txt"
    rows, lost = rows.copy(), (rows["method"] == "patch") & (rows["task"] != "cost")
    rows.loc[lost, ["value", "status", "reason"]] = [None, "failed", reason]
    html = write_report(rows, leaderboard(rows), None, NO_CURVES, {}, tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    columns = re.findall(r'<td class="([^"]*)">' + re.escape(reason), html)
    assert len(columns) > 3 and all("wrap" in classes.split() for classes in columns)
    assert len(columns) == html.count(reason), "no other part of the page shows it"
    assert re.search(r"\.wrap \{[^}]*white-space: normal;[^}]*overflow-wrap: anywhere;", html)


def test_names_cannot_break_the_page(rows, tmp_path):
    evil = "</script><img src='http://x'>"
    rows = rows.replace({"method": {"pca": evil, "spot": evil + "2"}})
    predictions = example_predictions().replace({"label": {"fat": evil}, "prediction": {"fat": evil}})
    path = write_report(rows, leaderboard(rows), predictions, NO_CURVES, {evil: evil}, tmp_path / "evil.html")
    assert "img" not in {tag for tag, _ in Page(path.read_text()).elements}


def test_a_run_whose_arms_all_failed_has_a_report(rows, tmp_path):
    failed = arms(rows).assign(value=None, status="failed", reason="diverged at step 3")
    page = Page(
        write_report(failed, leaderboard(failed), pd.DataFrame(), NO_CURVES, {}, tmp_path / "failed.html").read_text()
    )
    assert page.text[0].endswith(" 0 finished, 273 failed, 0 not applicable")
    assert "diverged at step 3" in page.text


def test_a_run_of_reconstruction_alone_has_a_report_and_a_picture(rows, tmp_path):
    few = rows[rows["task"].isin(["reconstruction", "cost", "arm"])]
    board = leaderboard(few)
    page = Page(
        write_report(few, board, NO_MAP, NO_CURVES, MANIFEST, tmp_path / "page.html").read_text(encoding="utf-8")
    )
    (ranked,) = (
        number for number, text in enumerate(page.text) if text.startswith("Ordered by Pearson of reconstruction")
    )
    best = board[(board["metric"] == "pearson") & (board["rank"] == 1)]["method"].item()
    assert page.text.index(best, ranked) < page.text.index("Does training help?", ranked)
    asked = page.text.index("Does the unit matter?")
    assert page.text[asked + 1] != "cannot tell" and "Pearson" in page.text[asked + 2]
    assert {attributes.get("id") for _, attributes in page.elements} >= {"plot-curve", "plot-flops"}
    assert readme_figure(board, NO_MAP, tmp_path / "overview.png").stat().st_size > 1000


def test_what_leads_is_the_first_key_contest_that_was_held(rows):
    assert leading(leaderboard(rows)) == ("macro-F1", PRIMARY)
    assert leading(leaderboard(rows[rows["task"].isin(["reconstruction", "arm"])]))[0] == "r hole 4"
    assert leading(leaderboard(arms(rows))) == ("macro-F1", PRIMARY)


def test_every_value_of_the_leaderboard_is_in_a_table(rows):
    board = leaderboard(rows)
    shown = sum(
        score["value"] is not None
        for section in tables.sections(board, rows)
        for table in section["tables"]
        for row in table["rows"]
        for score in row["scores"]
    )
    assert shown == board["value"].notna().sum()


def test_what_is_in_no_mean_is_named_once_with_its_reason(rows, tmp_path):
    """A slide of one class tells nothing of any method; a method that cannot do the task is not among the reasons."""
    one_class = rows[(rows["task"] == "domain") & (rows["slide"] == "A1") & (rows["split"] == "donor")]
    one_class = one_class.assign(value=np.nan, status="not applicable", reason="one class", metric="any", slide="A2")
    more = pd.concat([rows, one_class], ignore_index=True)
    sections = {section["title"]: section for section in tables.sections(leaderboard(more), more)}
    assert sections["Domain detection, whole donors held out"]["left_out"] == ["slide A2 (one class)"]
    assert [title for title, section in sections.items() if section["left_out"]] == [
        "Domain detection, whole donors held out"
    ]
    page = Page(write_report(more, leaderboard(more), None, NO_CURVES, {}, tmp_path / "page.html").read_text())
    assert "Left out of the means: slide A2 (one class)." in page.text


def test_an_incomplete_entrant_is_the_last_of_its_table_and_says_what_it_lacks(written):
    html = written.read_text()
    ranked = html[html.index('id="ranking"') : html.index('id="verdicts"')].split("<tr ")
    assert "incomplete: lacks 1 score: donor C (C1: 1)" in ranked[-1] and ">–</td>" in ranked[-1]
    assert not any("incomplete" in line for line in ranked[1:-1])


def test_a_cost_that_the_method_counted_itself_is_named_beside_it_everywhere(rows, tmp_path):
    told = rows.assign(self_reported=rows["method"] == "spot")
    board = leaderboard(told)
    names = set(board.loc[board["method"] == "spot", "name"])
    assert names == {"spot (cost self-reported)", "spot (untrained, cost self-reported)"}
    assert set(board.loc[board["method"] == "patch", "name"]) == {"patch", "patch (untrained)"}
    assert names <= {record["params"]["method"] for record in run_records(told, board, NO_CURVES).values()}
    console = Console(file=io.StringIO(), width=200)
    print_board(board, console)
    assert all(name in console.file.getvalue() for name in names)
    html = write_report(told, board, None, NO_CURVES, {}, tmp_path / "page.html").read_text()
    assert html.count("spot (cost self-reported)</td>") > 3 and "<b>spot (cost self-reported)</b>, 4 TFLOP" in html


def test_the_page_says_how_many_tests_it_corrects_for(rows, page):
    n_tests = evidence(rows, PRIMARY, []).n_tests
    assert f"Holm's correction over all {n_tests} tests of this page" in " ".join(page.text).replace("\n", " ")


def test_the_five_questions_stand_above_the_ranking(page):
    text = " ".join(page.text)
    positions = [text.index(words) for words in (*QUESTIONS, "Ordered by macro-F1")]
    assert positions == sorted(positions)


def test_the_leakage_of_every_probe_metric_and_split_has_a_table(rows):
    more = pd.concat([rows, rows[rows["split"] == "random"].assign(split="few_labels")])
    leaks = leakage(more)
    shown = findings.leakage(leaks)
    assert len(shown) == len(leaks[["split", "setting", "metric"]].drop_duplicates())
    assert shown[0]["title"] == "Accuracy, k-NN probe, random spots of the same slides"
    row = next(row for row in shown[0]["rows"] if row["name"] == "noise")
    assert [number["value"] is None for number in row["numbers"]] == [False, False, False, True]


def test_sizes_and_contexts_have_their_figures_and_tables(tmp_path):
    entries = [entry(unit, unit, preset=size) for unit in ("spot", "patch") for size in PARAMETERS]
    entries += [entry("patch", "patch", embed="self", preset=size) for size in PARAMETERS]
    rows = factor_rows(entries, lambda arm: 0.3)
    html = write_report(rows, leaderboard(rows), None, NO_CURVES, {}, tmp_path / "sizes.html").read_text()
    plots = {attributes.get("id") for _, attributes in Page(html).elements}
    assert plots >= {"plot-curve0", "plot-curve1", "plot-curve2", "plot-isoflop_spot", "plot-isoflop_patch"}
    text = Page(html).text
    assert {"Trunk nano", "Trunk mini", "Trunk paper", "Learned, or only smoothed?"} <= set(text)


def test_a_run_that_varies_no_setting_says_nothing_of_settings(page):
    assert "What the settings change" not in page.text


def test_one_size_draws_one_curve(rows, page):
    plots = [attributes["id"] for _, attributes in page.elements if attributes.get("id", "").startswith("plot-")]
    assert "plot-curve" in plots and not any(name.startswith(("plot-curve0", "plot-isoflop")) for name in plots)


def test_every_spot_is_drawn_once_in_every_panel():
    predictions = example_predictions()
    ranking = select(leaderboard(example_rows()), PRIMARY)
    for slide in maps.slides(predictions, ranking):
        spots = predictions[predictions["slide"] == slide["slide"]]
        assert slide["panels"][0]["title"] == "labels"
        assert len(slide["panels"]) == 1 + len(entrants())
        for panel in slide["panels"]:
            assert sum(path.count("h0") for _, path in panel["paths"]) == len(spots[["y", "x"]].drop_duplicates())


def test_the_labels_keep_their_colours_where_there_are_many():
    labels = [f"type {i}" for i in range(21)]
    colours = maps.colours(pd.DataFrame({"label": labels, "prediction": labels}))
    assert len(set(colours.values())) == 21


def test_the_cost_of_an_arm_is_a_mean_and_what_is_unmeasured_says_why(rows):
    costs = ledger.costs(rows)
    assert costs.loc[("patch", "patch", "flops", 1e12), "flops"] == pytest.approx(0.99e12)
    table = ledger.cost_table(costs, rows)
    assert table["notes"] == ["energy: no energy counter on this device"]


def test_the_picture_is_the_same_every_time(rows, tmp_path):
    first, second = (
        readme_figure(leaderboard(rows), example_predictions(), tmp_path / name) for name in ("a.png", "b.png")
    )
    assert first.read_bytes() == second.read_bytes()


def test_names_of_settings_do_not_run_into_each_other_in_the_picture(rows, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: drawn.append(figure) or file.touch())
    setting = ".objective-neighbourhood+negative_binomial.hidden-0.25"
    board = leaderboard(rows[rows["split"] != "random"])
    readme_figure(board.assign(name=board["name"] + setting), example_predictions(), tmp_path / "overview.png")
    (figure,) = drawn
    figure.draw_without_rendering()
    maps = [axes for axes in figure.axes if axes.get_title()]
    boxes = [axes.title.get_window_extent() for axes in maps]
    assert sum("hidden-0.25" in axes.get_title() for axes in maps) >= 2
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_what_users_name_is_text_on_the_page_and_never_markup(tmp_path):
    hostile = "</script><img src=x onerror=alert(1)><script>alert(2)</script>"
    rows = example_rows()
    names = {name: f"{name}{hostile}" for name in ("slide", "donor", "fold")}
    changed = rows.assign(
        **{column: rows[column].where(rows[column] == "pooled", suffix) for column, suffix in names.items()}
    )
    changed["reason"] = changed["reason"].where(changed["reason"] == "", hostile)
    maps = example_predictions().assign(slide=f"s{hostile}", donor=f"d{hostile}")
    maps["label"] = maps["label"].astype(str) + hostile
    manifest = MANIFEST | {"data": {"sha256": "feed", "title": hostile, "licence": hostile}}
    html = write_report(changed, leaderboard(changed), maps, NO_CURVES, manifest, tmp_path / "report.html").read_text()
    page = Page(html)
    tags = [tag for tag, _ in page.elements]
    calm = Page(
        write_report(
            rows, leaderboard(rows), example_predictions(), NO_CURVES, MANIFEST, tmp_path / "calm.html"
        ).read_text()
    )
    assert not [attributes for _, attributes in page.elements if "onerror" in attributes]
    assert tags.count("script") == [tag for tag, _ in calm.elements].count("script")
    assert any("onerror=alert(1)" in text for text in page.text), "it is shown as it was named"
