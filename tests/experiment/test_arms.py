"""Arms: who may see what, each fitted once, whatever ends it."""

import numpy as np
import pandas as pd
import pytest

from benchmark.core.files import read_json
from benchmark.data.splits import Fold, check_disjoint
from benchmark.experiment.arms import folds
from benchmark.experiment.fit import run_arms
from benchmark.experiment.score import score_arms
from tests.helpers.arms import PATCH, config, run

pytestmark = pytest.mark.usefixtures("micro_trunk")


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
    monkeypatch.setattr("benchmark.training.loop.CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr("benchmark.training.loop.CHECK_EVERY", 4)

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
