"""Runs that do not compare get names of their own; those that do share one."""

import pytest

from benchmark.stats.apart import apart
from benchmark.stats.summary import gather
from tests.helpers.rows import finished_run


@pytest.fixture(scope="module")
def rows():
    return finished_run("one")


def names(**runs):
    return {run: set(part["dataset"]) for run, part in apart(runs)[0].items()}


def test_runs_of_the_same_data_and_protocols_share_the_plain_name(rows):
    clustering = rows[rows["task"].isin(["clustering", "arm"])]
    assert names(a=rows, b=clustering) == {"a": {"one"}, "b": {"one"}}


@pytest.mark.parametrize("other", [{"data": "ffffffffffff"}, {"protocol": "ffffffffffff"}, {"protocol": ""}])
def test_other_data_other_protocols_and_no_ids_are_put_apart(rows, other):
    assert names(a=rows, b=rows.assign(**other)) == {"a": {"one (a)"}, "b": {"one (b)"}}


def test_two_runs_without_ids_share_nothing_with_each_other(rows):
    old = rows.assign(data="", protocol="")
    assert names(a=old, b=old) == {"a": {"one (a)"}, "b": {"one (b)"}}


def test_what_was_put_apart_can_be_gathered_with_all_its_scores(rows):
    old = rows.assign(data="", protocol="")
    renamed, tables = apart({"a": rows, "b": old, "c": rows})
    together, twice = gather(renamed)
    assert together.groupby("dataset").size().to_dict() == {"one (a)": len(rows), "one (b)": len(rows)}
    assert tables.set_index("table")["known"].to_dict() == {"one (a)": True, "one (b)": False}
    assert set(twice["left_out"]) == {"c"} and (twice["greatest_difference"] == 0).all()
