"""Units over many datasets against the best method of today."""

import pandas as pd
import pytest

from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.overall import overall, today
from tests.helpers.rows import finished_run

TISSUE = {"one": "one", "two": "two"}


@pytest.fixture(scope="module")
def rows():
    return pd.concat([finished_run(name) for name in TISSUE], ignore_index=True)


@pytest.fixture(scope="module")
def found(rows):
    return overall(rows, PRIMARY, TISSUE)


def mean_of(rows, dataset, method, budget=0.0):
    """Over donors of the mean over seeds, without the code under test."""
    part = select(rows, PRIMARY)
    part = part[(part["dataset"] == dataset) & (part["method"] == method) & (part["budget"] == budget)]
    return part.groupby("donor")["value"].mean().mean()


def test_a_difference_is_that_of_the_means_where_nothing_is_missing(rows, found):
    table = found.units.set_index(["dataset", "budget", "unit"])
    for dataset in TISSUE:
        for unit in ("spot", "patch"):
            row = table.loc[dataset, 4e12, unit]
            expected = mean_of(rows, dataset, unit, 4e12) - mean_of(rows, dataset, "pca")
            assert row["rival"] == "pca" and row["difference"] == pytest.approx(expected)
            assert row["low"] < row["difference"] < row["high"]


def test_the_pooled_difference_weighs_every_donor_alike(found):
    units = found.units.set_index(["dataset", "budget", "unit"])["difference"]
    pooled = found.pooled.set_index(["budget", "unit"])
    assert (pooled["n_datasets"] == 2).all()
    assert pooled.loc[(1e12, "patch"), "difference"] == pytest.approx(units.xs((1e12, "patch"), level=[1, 2]).mean())


def test_tables_of_one_tissue_are_one_thing_to_draw(rows, found):
    one = overall(rows, PRIMARY, dict.fromkeys(TISSUE, "one"))
    assert (one.pooled["p"] == 1).all(), "one tissue allows no test"
    assert (found.pooled["least"] == 0.5).all()


def test_a_dataset_that_lacks_a_unit_is_in_no_pool(rows):
    part = rows[(rows["dataset"] == "one") | (rows["unit"] != "slide")]
    assert overall(part, PRIMARY, TISSUE).pooled.empty


def test_the_rival_is_the_best_complete_one_and_never_told_the_labels(rows):
    part = rows[rows["dataset"] == "one"]
    assert today(part, PRIMARY)[0] == "pca"
    lacking = part[~((part["method"] == "pca") & (part["fold"] == "C") & (part["seed"] == 1))]
    assert today(lacking, PRIMARY)[0] != "pca"
    spot = part["method"] == "spot"
    released = part.assign(reference=part["reference"].where(~spot, "not compute-matched"))
    assert today(released[(released["budget"] == 0) | ~spot], PRIMARY)[0] == "pca"
    better = released.assign(value=released["value"].where(~spot, released["value"] + 0.3))
    assert today(better[(better["budget"] == 0) | ~spot], PRIMARY)[0] == "spot"
    told = better.assign(reference=better["reference"].where(~spot, "supervised: it is told the labels"))
    assert today(told[(told["budget"] == 0) | ~spot], PRIMARY)[0] == "pca"


def test_a_unit_that_did_not_learn_gets_no_verdict(rows):
    trained = rows[(rows["task"] == "domain") & (rows["method"] == "patch") & (rows["split"] == "donor")]
    arms = trained.drop_duplicates(["dataset", "budget", "fold", "seed"])
    arms = arms.assign(task="objective", setting="held out", neighbours=0, protocol="")
    told = [arms.assign(metric=name, value=value) for name, value in (("r2", -0.1), ("r2_kriging", 0.2))]
    found = overall(pd.concat([rows, *told], ignore_index=True), PRIMARY, TISSUE)
    by_unit = found.units.groupby("unit")
    assert set(by_unit.get_group("patch")["verdict"]) == {"did not learn"}
    assert "did not learn" not in set(by_unit.get_group("spot")["verdict"])
    assert set(found.won.loc[found.won["first"] == "patch", "verdict"]) == {"did not learn"}
