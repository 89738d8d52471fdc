"""Arms: who may see what, each fitted once, and score rows that are whole for every way that an arm can end."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmark.arms import folds, run_arms
from benchmark.config import Config, build
from benchmark.corpus import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.evaluate import score_arms
from benchmark.files import read_json
from benchmark.model.trunk import PRESETS, Preset
from benchmark.scores import COLUMNS
from benchmark.splits import Fold, check_disjoint

PATCH = {"method": "patch", "options": {"size": 4, "n_channels": 16, "preset": "micro"}}
SPOT = {"method": "spot", "options": {"n_tokens": 16, "preset": "micro"}}
SETTINGS = {
    "name": "small",
    "dataset": {"name": "simulated"},
    "methods": ["random", "gene_mean", PATCH, SPOT],
    "budget": {"axis": "flops", "amounts": [0, 1e8]},
    "splits": {"donor_folds": 3, "random_repeats": 2, "block_repeats": 1, "block_cells": 4, "block_buffer": 1},
    "seeds": [0],
    "neighbours": [0],
    "tasks": ["domain", "clustering", {"task": "reconstruction", "options": {"sizes": [2, 4], "n_genes": 10}}],
}


@pytest.fixture(autouse=True, scope="module")
def micro():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=1e-3))
        patch.setattr("benchmark.pretrain.TOKENS_PER_STEP", 64)
        yield


def config(**changes) -> Config:
    return build(Config, SETTINGS | changes, "test")


def run(settings, corpus, results, method, fold="fold0"):
    told = []
    records = run_arms(settings, corpus, results, method, fold, lambda *news: told.append(news))
    return records, told


def embeddings(results, name) -> dict[str, np.ndarray]:
    return dict(np.load(results / "arms" / name / "embeddings.npz"))


# Who may see what


def test_a_fold_that_shares_a_group_does_not_start(tissue):
    donors = tissue.table["donor"].to_dict()
    leak = Fold("leaky", tissue.names[:3], tissue.names[3:] + tissue.names[:1])
    with pytest.raises(Exception, match="slides on both sides"):
        check_disjoint(leak, donors, donors)
    serial = Fold("serial sections", tissue.names[:1], tissue.names[1:2])
    with pytest.raises(Exception, match="groups on both sides: donor0"):
        check_disjoint(serial, donors, donors)


def test_the_record_of_an_arm_says_who_was_seen_where(tissue, tmp_path):
    records, _ = run(config(), tissue, tmp_path, "random", "fold0")
    seen = read_json(tmp_path / "arms/random/fold0/0-seed0/arm.json")["seen"]
    assert seen == records[0]["seen"]
    assert seen["test"] == ["donor0_0", "donor0_1"]
    assert not set(seen["fit"]) & set(seen["test"])
    assert seen["shared"] == {"slides": [], "donors": [], "groups": []}
    assert not seen["transductive"]
    records, _ = run(config(), tissue, tmp_path, "random", "all")
    assert records[0]["seen"]["transductive"]


def test_each_donor_is_held_out_once(tissue):
    groups = tissue.table["group"].to_dict()
    *held_out, everything = folds(config(), groups).values()
    assert sorted(slide for fold in held_out for slide in fold.test) == sorted(tissue.names)
    assert set(everything.fit) == set(everything.test) == set(tissue.names)
    without = config(splits={"donor_folds": 3, "random_repeats": 0, "block_repeats": 0})
    assert "all" not in folds(without, groups)


# Running


def test_a_finished_arm_is_not_run_again(tissue, tmp_path):
    first, _ = run(config(), tissue, tmp_path, "patch")
    again, told = run(config(), tissue, tmp_path, "patch")
    assert again == first
    assert [(name, done) for name, done, *_ in told] == [(f"patch/fold0/{n:g}-seed0", True) for n in (0, 1e8)]


def test_an_arm_with_other_options_is_run_anew_and_nothing_old_is_left(tissue, tmp_path):
    other = config(methods=[PATCH | {"options": PATCH["options"] | {"n_channels": 8}}])
    run(config(), tissue, tmp_path / "changed", "patch")
    changed, _ = run(other, tissue, tmp_path / "changed", "patch")
    fresh, _ = run(other, tissue, tmp_path / "fresh", "patch")
    assert [arm["key"] for arm in changed] == [arm["key"] for arm in fresh]
    for arm in ("patch/fold0/0-seed0", "patch/fold0/1e+08-seed0"):
        found, expected = (embeddings(tmp_path / folder, arm) for folder in ("changed", "fresh"))
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[slide], expected[slide]) for slide in expected)


@pytest.fixture
def killed(tissue, tmp_path, monkeypatch):
    """A folder of results whose second arm was killed half way, after a checkpoint."""
    monkeypatch.setattr("benchmark.pretrain.CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr("benchmark.pretrain.CHECK_EVERY", 4)

    def kill(arm, done, fraction, text):
        if not done and fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_arms(config(tasks=["clustering"]), tissue, tmp_path / "killed", "patch", "fold0", kill)
    assert (tmp_path / "killed/arms/patch/fold0/1e+08-seed0/checkpoint.pt").exists()
    return tmp_path / "killed"


def test_a_checkpoint_of_other_options_is_not_resumed(killed, tissue, tmp_path):
    other = config(tasks=["clustering"], methods=[PATCH | {"options": PATCH["options"] | {"n_channels": 8}}])
    run(other, tissue, killed, "patch")
    run(other, tissue, tmp_path / "fresh", "patch")
    found, expected = (embeddings(results, "patch/fold0/1e+08-seed0") for results in (killed, tmp_path / "fresh"))
    assert all(np.array_equal(found[slide], expected[slide]) for slide in expected)


def test_an_arm_that_is_killed_ends_as_an_unbroken_one(killed, tissue, tmp_path):
    settings = config(tasks=["clustering"])
    resumed, told = run(settings, tissue, killed, "patch")
    unbroken, _ = run(settings, tissue, tmp_path / "unbroken", "patch")
    assert min(fraction for name, done, fraction, _ in told if not done) > 0.5  # it did not begin anew
    rows, expected = (
        pd.DataFrame(
            [row.model_dump() for row in score_arms(config(tasks=["clustering"]), tissue, results, records)[0]]
        )
        for results, records in ((killed, resumed), (tmp_path / "unbroken", unbroken))
    )
    measured = rows["metric"].isin(["arm_seconds", "device_seconds", "peak_memory_bytes"])
    pd.testing.assert_frame_equal(rows[~measured], expected[~measured])


def test_a_failure_is_a_record_with_its_reason_and_the_next_arm_runs(tissue, tmp_path):
    settings = config(budget={"axis": "flops", "amounts": [3, 1e8]})
    records, _ = run(settings, tissue, tmp_path, "patch")
    assert [record["status"] for record in records] == ["failed", "ok"]
    assert "give a larger budget" in records[0]["reason"] and "\n" not in records[0]["reason"]
    rows, _ = score_arms(settings, tissue, tmp_path, records)
    failed = [row for row in rows if row.status == "failed"]
    assert {row.budget for row in failed} == {3}
    assert {row.task for row in failed} == {"arm", "domain", "clustering", "reconstruction"}
    assert all(row.reason for row in failed)


def test_a_split_that_is_not_asked_for_has_no_rows(tissue, tmp_path):
    settings = config(
        budget={"axis": "flops", "amounts": [3]}, splits={"donor_folds": 3, "random_repeats": 1, "block_repeats": 0}
    )
    for method in ("patch", "gene_mean", "random"):
        records, _ = run(settings, tissue, tmp_path, method, "all")
        rows, _ = score_arms(settings, tissue, tmp_path, records)
        assert {row.split for row in rows} == {"none", "random"}


def test_few_labels_train_on_the_smaller_share_of_each_slide(tissue, tmp_path):
    splits = {"donor_folds": 3, "random_repeats": 0, "few_labels_repeats": 2, "few_labels": 0.25}
    settings = config(splits=splits, tasks=["domain"])
    records, _ = run(settings, tissue, tmp_path, "random", "all")
    rows = [row for row in score_arms(settings, tissue, tmp_path, records)[0] if row.task == "domain"]
    n_train = sum(n - round(0.75 * n) for n in tissue.table["n_spots"])
    assert {(row.split, row.fold) for row in rows} == {("few_labels", "repeat0"), ("few_labels", "repeat1")}
    assert {(row.n_train, row.n_test) for row in rows} == {(n_train, tissue.n_spots - n_train)}
    assert all(row.transductive and row.slide == "pooled" for row in rows)


def test_a_fold_without_labels_has_a_reason_and_no_gap(tissue, tmp_path):
    slides = [slide.copy() for slide in tissue]
    for slide in slides[:2]:
        del slide.obs["label"]
    corpus = write_corpus(slides, tmp_path / "corpus", {"name": "partly labelled"})
    rows = []
    for fold in ("fold0", "fold1"):
        records, _ = run(config(), corpus, tmp_path, "random", fold)
        found, _ = score_arms(config(), corpus, tmp_path, records)
        rows += [row for row in found if row.task in ("domain", "clustering")]
    assert {(row.task, row.status, row.reason) for row in rows if row.fold == "fold0"} == {
        (task, "not applicable", "no labelled slide to test") for task in ("domain", "clustering")
    }
    assert {row.status for row in rows if row.fold == "fold1"} == {"ok"}


# Score rows


@pytest.fixture(scope="module")
def scored(tissue, tmp_path_factory):
    """All rows of the small experiment, and its maps."""
    results, rows, maps = tmp_path_factory.mktemp("scored"), [], []
    for method, fold in product(["random", "gene_mean", "patch", "spot"], ["fold0", "fold1", "fold2", "all"]):
        records, _ = run(config(), tissue, results, method, fold)
        found, drawn = score_arms(config(), tissue, results, records)
        rows += found
        maps.append(drawn)
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


def test_splits_within_slides_are_pooled_and_flagged_as_transductive(scored):
    rows, _ = scored
    within = rows[rows["split"].isin(["random", "block"])]
    assert set(within["split"]) == {"random", "block"}
    assert within["transductive"].all()
    assert (within["slide"] == "pooled").all() and (within["donor"] == "pooled").all()
    ok = within[within["status"] == "ok"]
    assert set(ok.loc[ok["split"] == "random", "fold"]) == {"repeat0", "repeat1"}


def test_what_a_method_cannot_do_is_a_row(scored):
    rows, _ = scored
    absent = rows[(rows["status"] == "not applicable") & ~rows["metric"].isin(["energy_joules", "any"])]
    found = set(absent[["method", "task", "split"]].itertuples(index=False, name=None))
    embeds = {("domain", "donor"), ("domain", "random"), ("domain", "block"), ("clustering", "donor")}
    assert found == {("gene_mean", task, split) for task, split in embeds} | {
        (method, "reconstruction", "donor") for method in ("spot", "random")
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


def test_a_map_shows_every_labelled_test_spot_once(scored, tissue):
    _, maps = scored
    for arm, part in maps.groupby(["method", "budget"]):
        assert len(part) == tissue.n_spots, arm
        assert set(part["prediction"]) <= set(part["label"])


# Chance


def test_shuffled_expression_brings_every_method_to_chance(tmp_path):
    data = Simulated(n_donors=2, slides_per_donor=2, shape=(20, 20), n_genes=60, image=False, shuffle=True)
    corpus = write_corpus(data.slides(), tmp_path / "corpus", data.record())
    methods = ["coordinates", "pca", {"method": "pca", "label": "pca_8nn", "options": {"neighbours": 8}}]
    methods += [PATCH, SPOT, {"method": "slide", "options": {"n_channels": 16, "preset": "micro"}}]
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
    found = rows[(rows["metric"] == "balanced_accuracy") & (rows["setting"] == "knn")]
    mean = found.groupby(["method", "budget", "neighbours"])["value"].mean().astype(float)
    assert len(mean) == 2 * (3 + 2 * 3)
    assert (mean - 1 / data.n_domains).abs().max() < 0.07, mean
