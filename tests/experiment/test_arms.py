"""Arms: which slides each may see; each is fitted once; what is left when one fails or is killed."""

import numpy as np
import pandas as pd
import pytest

from benchmark.core.files import read_json
from benchmark.core.reasons import read_reason
from benchmark.data.splits import Fold, check_disjoint
from benchmark.experiment.arms import folds
from benchmark.experiment.fit import run_arms
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.score import score_arms
from tests.helpers.arms import PATCH, config, run
from tests.helpers.plugins import install

pytestmark = pytest.mark.usefixtures("micro_trunk")


def embeddings(results, name) -> dict[str, np.ndarray]:
    return dict(np.load(results / "arms" / name / "embeddings.npz"))


# Which slides an arm may see


def test_a_fold_that_shares_a_group_does_not_start(tissue):
    donors = tissue.table["donor"].to_dict()
    leak = Fold("leaky", tissue.names[:3], tissue.names[3:] + tissue.names[:1])
    with pytest.raises(Exception, match="slides on both sides"):
        check_disjoint(leak, donors, donors)
    serial = Fold("serial sections", tissue.names[:1], tissue.names[1:2])
    with pytest.raises(Exception, match="groups on both sides: donor0"):
        check_disjoint(serial, donors, donors)


def test_the_record_of_an_arm_says_which_slides_were_seen(tissue, tmp_path):
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
    again, reports = run(config(), tissue, tmp_path, "patch")
    assert again == first
    assert [(name, done) for name, done, *_ in reports] == [(f"patch/fold0/{n:g}-seed0", True) for n in (0, 1e8)]


def test_an_arm_with_other_options_is_run_anew_and_nothing_old_is_left(tissue, tmp_path):
    other = config(methods=[PATCH | {"options": PATCH["options"] | {"n_channels": 8}}])
    run(config(), tissue, tmp_path / "changed", "patch")
    changed, _ = run(other, tissue, tmp_path / "changed", "patch")
    fresh, _ = run(other, tissue, tmp_path / "fresh", "patch")
    assert [arm["key"] for arm in changed] == [arm["key"] for arm in fresh]
    for arm in ("patch/fold0/0-seed0", "patch/fold0/1e+08-seed0"):
        values, expected = (embeddings(tmp_path / folder, arm) for folder in ("changed", "fresh"))
        assert values.keys() == expected.keys()
        assert all(np.array_equal(values[slide], expected[slide]) for slide in expected)


@pytest.fixture
def killed(tissue, tmp_path, monkeypatch):
    """A folder of results whose second arm was killed half way, after a checkpoint."""
    monkeypatch.setattr("benchmark.training.loop.CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr("benchmark.training.loop.CHECK_EVERY", 4)

    def kill(arm, done, fraction, text):
        if not done and fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_arms(config(tasks=["clustering"]), tissue, tmp_path / "killed", [("patch", "fold0")], kill)
    assert (tmp_path / "killed/arms/patch/fold0/1e+08-seed0/checkpoint.pt").exists()
    return tmp_path / "killed"


def test_a_checkpoint_of_other_options_is_not_resumed(killed, tissue, tmp_path):
    other = config(tasks=["clustering"], methods=[PATCH | {"options": PATCH["options"] | {"n_channels": 8}}])
    run(other, tissue, killed, "patch")
    run(other, tissue, tmp_path / "fresh", "patch")
    values, expected = (embeddings(results, "patch/fold0/1e+08-seed0") for results in (killed, tmp_path / "fresh"))
    assert all(np.array_equal(values[slide], expected[slide]) for slide in expected)


def test_an_arm_that_is_killed_ends_as_an_unbroken_one(killed, tissue, tmp_path):
    settings = config(tasks=["clustering"])
    resumed, reports = run(settings, tissue, killed, "patch")
    unbroken, _ = run(settings, tissue, tmp_path / "unbroken", "patch")
    assert min(fraction for name, done, fraction, _ in reports if not done) > 0.5  # it did not begin anew
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


# What a failure leaves

FAILS = """
from pathlib import Path

class Fails:
    unit = "none"

    def __init__(self, mended: str = ""):
        self.mended = Path(f"{mended}.txt")  # a file that the option named itself would be part of the arm's key

    def fit(self, corpus, budget, seed):
        if not self.mended.exists():
            raise ValueError("two\\nlines")

    def embed(self, slide):
        return slide.obsm["position"]
"""


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """A config whose one method fails until the file `mended.txt` exists."""
    install(tmp_path / "site", "failing", FAILS, "fails = failing:Fails")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return config(methods=[{"method": "fails", "options": {"mended": str(tmp_path / "mended")}}], tasks=["clustering"])


def test_the_traceback_is_a_file_that_the_reason_names(failing, tissue, tmp_path):
    (record,), _ = run(failing, tissue, tmp_path, "fails")
    cause, file = "ValueError at failing.py:12: two lines", "arms/fails/fold0/0-seed0/error.txt"
    assert record["reason"] == f"{cause}; traceback: {file}"
    assert read_reason(record["reason"]) == (cause, file)
    text = (tmp_path / "arms/fails/fold0/0-seed0/error.txt").read_text()
    assert text.startswith("Traceback") and "failing.py" in text and text.endswith("ValueError: two\nlines\n")
    rows, _ = score_arms(failing, tissue, tmp_path, [record])
    assert all(row.reason.endswith(record["reason"]) for row in rows)


def test_the_traceback_goes_when_the_arm_succeeds(failing, tissue, tmp_path):
    run(failing, tissue, tmp_path, "fails")
    (tmp_path / "mended.txt").touch()
    (record,), _ = run(failing, tissue, tmp_path, "fails")
    assert record["status"] == "ok" and record["reason"] == ""
    assert not (tmp_path / "arms/fails/fold0/0-seed0/error.txt").exists()


def test_an_arm_that_begins_anew_has_no_old_record_and_no_old_traceback(failing, tissue, tmp_path):
    (record,), _ = run(failing, tissue, tmp_path, "fails")
    folder = ArmFolder(tmp_path, "fails/fold0/0-seed0")
    assert folder.record.exists() and folder.traceback.exists()
    folder.begin(record["key"])
    assert [path.name for path in folder.path.iterdir()] == ["key"]


def test_a_second_attempt_keeps_what_has_ended_and_gives_up_what_has_not(failing, tissue, tmp_path):
    (first,), _ = run(failing, tissue, tmp_path, "fails")
    (tmp_path / "mended.txt").touch()
    assert run(failing, tissue, tmp_path, "fails", attempt=2)[0] == [first]
    (tmp_path / "arms/fails/fold0/0-seed0/arm.json").unlink()
    (record,), _ = run(failing, tissue, tmp_path, "fails", attempt=2)
    assert record["reason"] == "pretraining: the process of its job was killed; give it more memory"


def test_a_method_that_is_not_applicable_stays_so_in_a_second_attempt(tissue, tmp_path):
    settings = config(methods=["scgpt_official"], tasks=["domain"])
    for attempt in (1, 2):
        (record,), _ = run(settings, tissue, tmp_path, "scgpt_official", attempt=attempt)
        assert (record["status"], record["reason"]) == ("not applicable", "no checkpoint")
