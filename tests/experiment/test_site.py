"""The static site: its links, its names, what a browser says of it, and folders that are refused."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.core.scores import COLUMNS, read_table, write_table
from benchmark.experiment.site import write_site
from benchmark.report.site_names import dataset_page, file_name, method_page, run_folder
from tests.helpers.browser import ask, needs_browser
from tests.helpers.command import unitbench
from tests.helpers.page import Page
from tests.helpers.rows import example_predictions, finished_run

EVIL = "</script><b>x"
RUNS = ("one", "deep/two", "a & <i>third</i>")
WIDE = "return document.documentElement.scrollWidth"
CELLS = """const section = [...document.querySelectorAll("section.task")].find(section => !section.hidden);
const rows = [...section.querySelectorAll("tbody tr")].filter(row => !row.hidden);
const told = () => ({ address: parent.frames[0] === window ? location.hash : "", task: section.dataset.task,
  rows: [...section.querySelectorAll("tbody tr")].filter(row => !row.hidden).map(row =>
    ({ name: row.cells[0].textContent.trim(), unit: row.dataset.unit, budget: row.dataset.budget,
       control: row.classList.contains("control"), first: row.cells[4].dataset.value })) });
"""


def small_run(name):
    """The rows of a run without those that make its report slow."""
    rows = finished_run(name)
    kept = rows["split"].isin(["donor", "none"]) & (rows["setting"] != "linear") & (rows["neighbours"] == 0)
    return rows[kept & rows["fold"].isin([*"ABCDEF"]) & (rows["seed"] < 2)]


def write_run(folder, rows, **manifest):
    """A folder as a finished run leaves it."""
    write_table(folder / "scores.parquet", rows[COLUMNS])
    made = {"code": {"commit": "c" * 40}, "folds": {}, "plugins": ["pca: unitbench 0.1.0"], **manifest}
    (folder / "manifest.json").write_text(json.dumps(made))
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three runs at several depths: one keeps maps, one has a method of an evil name, one is old and lacks `pca`."""
    top = tmp_path_factory.mktemp("results")
    first = write_run(top / RUNS[0], small_run("one"), data={"name": "one", "licence": "CC0", "slides": 6})
    write_table(first / "maps.parquet", example_predictions())
    second = small_run("two <i>")
    random = second["method"] == "random"
    second["note"] = second["note"].mask(second["method"] == "pca", "made-up 1.2 (MIT)")
    options = second["options"].where(~random, json.dumps({"method": EVIL}))
    write_run(top / RUNS[1], second.assign(method=second["method"].where(~random, EVIL), options=options))
    third = small_run("one").assign(data="", protocol="", dataset="old name")
    data = {"name": "one", "sha256": "0" * 12}
    folds = {"A": {"transductive": False, "shared": {"donors": ["B"], "groups": [], "slides": []}}}
    write_run(top / RUNS[2], third[third["method"] != "pca"], data=data, folds=folds)
    return top


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    assert write_site([results], out).startswith("3 runs, 8 methods, 2 datasets, ")
    return out


def pages(site):
    return {path.relative_to(site).as_posix(): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_link_leads_to_a_file_of_the_site(site):
    found = pages(site)
    for name, page in found.items():
        links = [v for _, given in page.elements for key, v in given.items() if key in ("href", "src")]
        assert links
        for link in links:
            if link.startswith("data:"):
                continue
            address, _, anchor = link.partition("#")
            target = (site / name).parent / address if address else site / name
            assert target.is_file(), (name, link)
            if anchor and target.suffix == ".html":
                ids = {given.get("id") for _, given in found[target.resolve().relative_to(site).as_posix()].elements}
                assert anchor in ids, (name, link)


def test_a_report_leads_back_to_the_site_that_it_lies_in(site):
    """One that stands alone links nowhere: tests/report/test_report.py."""
    links = [given.get("href", "") for _, given in pages(site)[run_folder(RUNS[1]) + "/report.html"].elements]
    assert "../../index.html" in links and "../../index.html#runs" in links


def test_names_are_escaped_and_files_have_safe_names(site):
    for path in site.rglob("*"):
        assert re.fullmatch(r"[a-z0-9._-]+", path.name), path
        if path.suffix == ".html":
            text = path.read_text()
            assert EVIL not in text and "<i>third" not in text and "two <i>" not in text, path
    assert (site / method_page(EVIL)).exists() and (site / dataset_page("two <i>")).exists()
    assert (site / run_folder(RUNS[2]) / "report.html").exists()


def test_the_page_of_a_method_says_which_package_ran(site):
    found = pages(site)
    said, other = (" ".join(found[method_page(name)].text) for name in ("pca", EVIL))
    assert "package that it calls made-up 1.2 (MIT)" in re.sub(r"\s+", " ", said)
    assert "package that it calls" not in other


@pytest.mark.parametrize("pair", [("a", "A"), ("a b", "a-b"), ("x" * 70, "x" * 71), ("é", "è"), ("..", "."), ("", "-")])
def test_two_names_never_share_a_file(pair):
    first, second = map(file_name, pair)
    assert first != second and first.strip(".-") and second.strip(".-")


def test_an_old_run_is_a_table_of_its_own_and_a_gap_says_not_run(site):
    said = " ".join(pages(site)["index.html"].text)
    assert f"one ({RUNS[0]})" in said and f"one ({RUNS[2]})" in said and "old name" not in said
    text = (site / "index.html").read_text()
    (pca,) = re.findall(r'<tr class="control"[^>]*>(?:(?!</tr>).)*>pca</a>.*?</tr>', text, re.DOTALL)[:1]
    assert pca.count("not run") == 1 and "2/3" in pca


def test_the_first_screen_answers_in_one_sentence(site):
    answer = re.search(r'<p class="lead">(.*?)</p>', (site / "index.html").read_text(), re.DOTALL)[1]
    assert answer.count(". ") == 0 and answer.endswith(".")
    said = " ".join(pages(site)["index.html"].text)
    assert said.count("Other slides of B were learned from") == 1 and re.search(r"\d+ arms expected", said)
    assert "leads on" in answer and "best method of today" in answer and "[" in answer


def test_a_run_pretrained_on_several_datasets_takes_no_part_in_the_answer(tmp_path):
    write_run(tmp_path / "in/alone", small_run("one"), data={"name": "one"})
    config = {"datasets": {"a": {"role": "both"}, "b": {"role": "pretrain"}}}
    write_run(tmp_path / "in/mixed", small_run("two"), data={"name": "two"}, config=config)
    write_site([tmp_path / "in"], tmp_path / "out")
    text = " ".join(Page((tmp_path / "out/index.html").read_text()).text)
    assert "each of 1 table on 1 dataset" in text
    assert "mixed: pretrained on several datasets" in text and "alone: pretrained" not in text


def test_a_method_tells_what_it_is_and_a_dataset_what_is_recorded(site):
    found = pages(site)
    pca, random, one = (
        " ".join(found[name].text) for name in (method_page("pca"), method_page(EVIL), dataset_page("one"))
    )
    assert "log1p of counts per 10,000" in pca and "unitbench 0.1.0" in pca and "BSD-3-Clause" in pca
    assert "not installed where this site was made" in random and "not recorded" in random
    assert "CC0" in one and "6 donors" in one and "slide A1" in one


def test_the_raw_scores_can_be_taken_away(results, site, tmp_path):
    given = read_table(results / "one/scores.parquet")
    taken = pd.read_csv(site / run_folder("one") / "scores.csv.gz", keep_default_na=False, na_values={"value": [""]})
    assert len(taken) == len(given) and list(taken) == list(given)
    pd.testing.assert_series_equal(taken["value"], given["value"], rtol=1e-6)
    assert len(pd.read_csv(site / run_folder("one") / "leaderboard.csv.gz"))
    again = write_table(tmp_path / "scores.csv.gz", given.astype({"value": "float32"}))
    assert again.read_bytes() == (site / run_folder("one") / "scores.csv.gz").read_bytes(), (
        "the same rows, the same bytes"
    )


@needs_browser
def test_no_page_complains_and_none_is_wider_than_a_telephone(site, tmp_path):
    report = run_folder(RUNS[0]) + "/report.html"
    for name in ("index.html", method_page("pca"), method_page(EVIL), dataset_page("one"), report):
        width, console = ask(site / name, tmp_path, WIDE, width=400)
        assert not console, (name, console)
        assert width <= 400, name


@needs_browser
def test_filters_and_order_are_read_from_the_address(site, tmp_path):
    told, _ = ask(
        site / "index.html", tmp_path, CELLS + "return told()", anchor="#unit=patch&controls=off&budget=4e%2B12"
    )
    assert {(row["unit"], row["budget"], row["control"]) for row in told["rows"]} == {("patch", "4e+12", False)}
    told, _ = ask(site / "index.html", tmp_path, CELLS + "return told()", anchor="#task=reconstruction")
    assert told["task"] == "reconstruction"
    told, _ = ask(site / "index.html", tmp_path, CELLS + "return told()", anchor="#sort=4&down=1")
    values = [row["first"] for row in told["rows"]]
    numbers = [float(value) for value in values if value]
    assert numbers == sorted(numbers, reverse=True) and "" not in values[: len(numbers)] and len(values) > 8


@needs_browser
def test_what_is_chosen_stands_in_the_address(site, tmp_path):
    choose = """document.forms[0].controls.click();
    document.forms[0].unit.value = "slide";
    document.forms[0].unit.dispatchEvent(new Event("change", { bubbles: true }));
    section.querySelectorAll("th")[4].click();
    return told();"""
    told, console = ask(site / "index.html", tmp_path, CELLS + choose)
    assert not console and told["address"] == "#unit=slide&controls=off&sort=4"
    values = [float(row["first"]) for row in told["rows"] if row["first"]]
    assert len(values) == 2 and values == sorted(values) and {row["unit"] for row in told["rows"]} == {"slide"}


def test_a_folder_without_runs_and_one_given_twice_are_refused(results, tmp_path):
    done = unitbench("site", tmp_path, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "holds no finished run" in done.stderr
    with pytest.raises(UnitBenchError, match="given twice"):
        write_site([results, results], tmp_path / "out")
    assert not (tmp_path / "out").exists()
