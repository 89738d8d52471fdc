"""Score rows: complete however an arm ends, and at chance where there is nothing to learn."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmark.core.curves import curve_table
from benchmark.core.scores import COLUMNS
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.experiment.rows import arm_rows
from benchmark.experiment.score import score_arms
from benchmark.stats.rows import scores
from tests.helpers.arms import DOMAIN, PATCH, SPOT, config, run
from tests.helpers.plugins import install

pytestmark = pytest.mark.usefixtures("micro_trunk")


def test_a_split_that_is_not_asked_for_has_no_rows(tissue, tmp_path):
    settings = config(
        budget={"axis": "flops", "amounts": [3]}, splits={"donor_folds": 3, "random_repeats": 1, "block_repeats": 0}
    )
    for method in ("patch", "gene_mean", "random"):
        records, _ = run(settings, tissue, tmp_path, method, "all")
        rows, _ = score_arms(settings, tissue, tmp_path, records)
        assert {row.split for row in rows} == {"none", "random"}


def test_a_task_whose_splits_are_not_asked_for_has_a_row_that_says_so(tissue, tmp_path):
    settings = config(splits={"donor_folds": 0, "random_repeats": 1}, tasks=[DOMAIN, "clustering"])
    records, _ = run(settings, tissue, tmp_path, "random", "all")
    rows, _ = score_arms(settings, tissue, tmp_path, records)
    assert {row.status for row in rows if row.task == "domain"} == {"ok"}
    assert [(row.split, row.status, row.reason) for row in rows if row.task == "clustering"] == [
        ("donor", "not applicable", "the config asks for no split donor")
    ]


def test_few_labels_train_on_the_smaller_share_of_each_slide(tissue, tmp_path):
    splits = {"donor_folds": 3, "random_repeats": 0, "few_labels_repeats": 2, "few_labels": 0.25}
    settings = config(splits=splits, tasks=["domain"])
    records, _ = run(settings, tissue, tmp_path, "random", "all")
    rows = [row for row in score_arms(settings, tissue, tmp_path, records)[0] if row.task == "domain"]
    n_train = sum(n - round(0.75 * n) for n in tissue.table["n_spots"])
    assert {(row.split, row.fold) for row in rows} == {("few_labels", "repeat0"), ("few_labels", "repeat1")}
    assert {row.n_train for row in rows} == {n_train} and all(row.transductive for row in rows)
    n_test = {row.slide: row.n_test for row in rows}
    assert n_test == {slide: round(0.75 * n) for slide, n in tissue.table["n_spots"].items()}


def test_a_fold_without_labels_has_a_reason_and_no_gap(tissue, tmp_path):
    slides = [slide.copy() for slide in tissue]
    for slide in slides[:2]:
        del slide.obs["label"]
    corpus = write_corpus(slides, tmp_path / "corpus", {"name": "partly labelled"})
    rows = []
    for fold in ("fold0", "fold1"):
        records, _ = run(config(), corpus, tmp_path, "random", fold)
        of_fold, _ = score_arms(config(), corpus, tmp_path, records)
        rows += [row for row in of_fold if row.task in ("domain", "clustering")]
    assert {(row.task, row.status, row.reason) for row in rows if row.fold == "fold0"} == {
        (task, "not applicable", "no labelled slide to test") for task in ("domain", "clustering")
    }
    assert {row.status for row in rows if row.fold == "fold1"} == {"ok"}


TASK = """
from benchmark.core.contracts import KeyScore, Measured, Metric

class Colour:
    name = "colour"
    requires = "embed"
    splits = ("donor",)
    metrics = (Metric("hue"),)
    key_scores = (KeyScore("hue", "all", "hue"),)

    def __init__(self, metric: str = "hue", setting: str = "all"):
        self.result = Measured(setting, metric, 0.5)

    def score(self, train, test, seed):
        yield self.result
"""


@pytest.fixture
def colour(tissue, tmp_path, monkeypatch):
    """`colour(options)`: metric and reason of each row of a task with these options; it declares "hue" alone."""
    install(tmp_path / "site", "colours", TASK, "colour = colours:Colour", group="unitbench.tasks")
    monkeypatch.syspath_prepend(tmp_path / "site")

    def score(**options) -> set[tuple[str, str]]:
        settings = config(methods=["random"], tasks=[{"task": "colour", "options": options}])
        records, _ = run(settings, tissue, tmp_path, "random")
        rows, _ = score_arms(settings, tissue, tmp_path, records)
        return {(row.metric, row.reason) for row in rows if row.task == "colour"}

    return score


def test_a_metric_that_the_task_does_not_declare_is_a_failure_of_the_task(colour):
    assert colour() == {("hue", "")}
    reason = "task 'colour': measured 'hues', which is not among its metrics; declare it; did you mean 'hue'?"
    assert colour(metric="hues") == {("hue", reason)}
    assert colour(metric="hues", setting="method") == {("hues", "")}


# All rows of a small experiment


@pytest.fixture(scope="module")
def scored(tissue, tmp_path_factory):
    """All rows of the small experiment, and its maps."""
    results, rows, maps = tmp_path_factory.mktemp("scored"), [], []
    for method, fold in product(["random", "gene_mean", "patch", "spot_genes"], ["fold0", "fold1", "fold2", "all"]):
        records, _ = run(config(), tissue, results, method, fold)
        arm_rows, arm_maps = score_arms(config(), tissue, results, records)
        rows += arm_rows
        maps.append(arm_maps)
    return pd.DataFrame([row.model_dump() for row in rows], columns=COLUMNS), pd.concat(maps)


def test_every_row_has_a_finite_value_or_a_reason(scored):
    rows, _ = scored
    ok = rows["status"] == "ok"
    assert np.isfinite(rows.loc[ok, "value"].astype(float)).all()
    assert rows.loc[~ok, "value"].isna().all() and (rows.loc[~ok, "reason"] != "").all()
    assert not rows.duplicated([column for column in COLUMNS if column not in ("value", "reason")]).any()
    assert not (rows["status"] == "failed").any()


def test_held_out_donors_are_scored_slide_by_slide(scored, tissue):
    rows, _ = scored
    rows = rows[(rows["split"] == "donor") & (rows["status"] == "ok")]
    assert not rows["transductive"].any()
    for arm, part in rows[rows["task"] == "domain"].groupby(["method", "budget", "neighbours"]):
        assert sorted(part["slide"].unique()) == sorted(tissue.names), arm
    assert (rows["donor"] == rows["slide"].map(tissue.table["donor"])).all()
    assert (rows["n_test"] <= rows["slide"].map(tissue.table["n_spots"])).all()
    domain = rows[rows["task"] == "domain"]
    others = tissue.n_spots - domain["donor"].map(tissue.table.groupby("donor")["n_spots"].sum())
    assert (domain["n_train"] == others).all()


def test_every_row_says_which_options_its_method_had(scored):
    rows, _ = scored
    patch = '{"method": "patch", "n_channels": 16, "preset": "micro", "size": 4}'
    assert set(rows.loc[rows["method"] == "patch", "options"]) == {patch}
    assert set(rows.loc[rows["method"] == "random", "options"]) == {'{"method": "random"}'}


def test_splits_within_slides_are_reported_slide_by_slide_and_flagged_as_transductive(scored, tissue):
    rows, _ = scored
    within = rows[rows["split"].isin(["random", "block"])]
    assert set(within["split"]) == {"random", "block"}
    assert within["transductive"].all()
    ok = within[within["status"] == "ok"]
    assert set(ok["slide"]) == set(tissue.names)
    assert (ok["donor"] == ok["slide"].map(tissue.table["donor"])).all()
    assert set(ok.loc[ok["split"] == "random", "fold"]) == {"repeat0", "repeat1"}


def test_what_a_method_cannot_do_is_a_row(scored):
    rows, _ = scored
    absent = rows[(rows["status"] == "not applicable") & ~rows["metric"].isin(["energy_joules", "any"])]
    lacking = set(absent[["method", "task", "split"]].itertuples(index=False, name=None))
    embeds = {("domain", "donor"), ("domain", "random"), ("domain", "block"), ("clustering", "donor")}
    assert lacking == {("gene_mean", task, split) for task, split in embeds} | {
        (method, "reconstruction", "donor") for method in ("spot_genes", "random")
    }
    assert absent["reason"].str.startswith("the method has no ").all()


def test_what_an_arm_cost_is_a_row(scored):
    rows, _ = scored
    cost = rows[(rows["task"] == "cost") & (rows["status"] == "ok") & (rows["budget"] == 1e8)]
    spent = cost[cost["metric"] == "flops"]["value"].astype(float)
    assert len(spent) == 2 * 4
    np.testing.assert_allclose(spent, 1e8, rtol=0.02)
    energy = rows[rows["metric"] == "energy_joules"]
    assert len(energy) == 2 * 4
    assert (energy["status"] == "not applicable").all()


def test_what_an_arm_has_learned_is_a_row_of_each_held_out_slide_and_no_score(tissue, tmp_path):
    method = {"method": "context", "options": {"side": 4, "n_genes": 30, "preset": "micro"}}
    settings = config(methods=[method], budget={"axis": "flops", "amounts": [0]}, tasks=[DOMAIN])
    told = []
    for fold in ("fold0", "all"):  # in the second no slide is held out
        records, _ = run(settings, tissue, tmp_path, "context", fold)
        rows, _ = score_arms(settings, tissue, tmp_path, records)
        table = pd.DataFrame([row.model_dump() for row in rows], columns=COLUMNS)
        told += [(row.fold, row.slide, row.donor, row.metric) for row in rows if row.task == "objective"]
        assert set(scores(table)["task"]) == {"domain"}
    metrics = ("r2", "r2_kriging", "r2_neighbour_mean", "r2_own")
    assert told == [("fold0", f"donor0_{n}", "donor0", metric) for n in (0, 1) for metric in metrics]


def test_the_curves_of_an_arm_are_its_training_and_what_it_knew_of_each_held_out_slide(tissue, tmp_path):
    settings = config(budget={"axis": "flops", "amounts": [3e9]}, tasks=[DOMAIN])
    records, _ = run(settings, tissue, tmp_path, "random", "fold0")
    told = {"r2": 0.5, "r2_own": 0.2}
    step = {"flops": 1e9, "loss": 1.5, "learning_rate": 1e-3}
    trained = records[0] | {
        "amount": 3e9,
        "spent": {"flops": 2.9e9, "curve": [step], "self_reported": False},
        "learned": {"donor0_0": told, "donor0_1": told},
        "curves": {"donor0_0": [{"flops": 1e9, "r2": 0.1}]},
    }
    table = curve_table(point for arm in arm_rows(settings, tissue, [trained]) for point in arm.curve())
    assert table[["slide", "flops", "name", "value"]].to_numpy().tolist() == [
        ["", 1e9, "learning_rate", 1e-3],
        ["", 1e9, "loss", 1.5],
        ["donor0_0", 1e9, "r2", 0.1],
        ["donor0_0", 2.9e9, "r2", 0.5],
        ["donor0_0", 2.9e9, "r2_own", 0.2],
        ["donor0_1", 2.9e9, "r2", 0.5],
        ["donor0_1", 2.9e9, "r2_own", 0.2],
    ]
    assert (table[["method", "fold", "budget", "seed"]] == ["random", "fold0", 3e9, 0]).all(axis=None)
    points = table.sample(frac=1, random_state=0).to_dict("records")
    assert curve_table(points).equals(table), "the same points give the same table"
    failed = trained | {"status": "failed"}
    assert not [point for arm in arm_rows(settings, tissue, [failed]) for point in arm.curve()]


def test_a_map_shows_every_labelled_test_spot_once(scored, tissue):
    _, maps = scored
    for arm, part in maps.groupby(["method", "budget"]):
        assert len(part) == tissue.n_spots, arm
        assert set(part["prediction"]) <= set(part["label"])


# Chance


@pytest.mark.slow
def test_shuffled_expression_brings_every_method_to_chance(tmp_path):
    data = Simulated(n_donors=2, slides_per_donor=2, shape=(20, 20), n_genes=60, image=False, shuffle=True)
    corpus = write_corpus(data.slides(), tmp_path / "corpus", data.record())
    methods = ["coordinates", "pca", {"method": "pca", "label": "pca_8nn", "options": {"neighbours": 8}}]
    methods += [PATCH, SPOT, {"method": "context", "options": {"side": "slide", "preset": "micro"}}]
    settings = config(
        methods=methods,
        tasks=["domain"],
        budget={"axis": "flops", "amounts": [0, 1.2e9]},
        splits={"donor_folds": 2, "random_repeats": 0, "block_repeats": 0},
        neighbours=[0, 8],
    )
    rows = []
    for method, fold in product(settings.methods, ["fold0", "fold1"]):
        records, _ = run(settings, corpus, tmp_path, method.label, fold)
        rows += [row.model_dump() for row in score_arms(settings, corpus, tmp_path, records)[0]]
    rows = pd.DataFrame(rows)
    probed = rows[(rows["metric"] == "balanced_accuracy") & (rows["setting"] == "knn")]
    mean = probed.groupby(["method", "budget", "neighbours"])["value"].mean().astype(float)
    assert len(mean) == 2 * (3 + 2 * 3)
    assert (mean - 1 / data.n_domains).abs().max() < 0.07, mean
