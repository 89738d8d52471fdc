"""An arm on several devices: one that is killed is a failure with its reason, and the next run goes on from there."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmark.training import loop
from tests.helpers import ranks
from tests.helpers.arms import PATCH, config, run

pytestmark = pytest.mark.usefixtures("micro_trunk")
TOTALS = ("flops", "spots", "unique_spots", "steps", "amount")


def fitted(tissue, results, **training):
    """The record of an arm, and its weights if it has any."""
    small = config(methods=[PATCH], budget={"axis": "flops", "amounts": [1e8]}, training=training, precision="fp32")
    ((record,), _) = run(small, tissue, results, "patch")
    weights = results / "arms/patch/fold0/1e+08-seed0/weights.safetensors"
    return record, load_file(weights) if weights.exists() else {}


@pytest.mark.slow
def test_a_killed_process_is_a_failed_arm_that_ends_later_as_an_unbroken_one(tissue, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", ranks.killed)
        record, _ = fitted(tissue, tmp_path / "broken", devices=2)
    assert record["status"] == "failed"
    assert record["reason"].startswith("device 2 of 2: its process was ended by signal 9 (SIGKILL); mend what ends it")
    monkeypatch.setattr(loop, "CHECK_EVERY", 4)
    resumed, weights = fitted(tissue, tmp_path / "broken")
    unbroken, expected = fitted(tissue, tmp_path / "unbroken")
    assert resumed["status"] == unbroken["status"] == "ok"
    assert {name: resumed["spent"][name] for name in TOTALS} == {name: unbroken["spent"][name] for name in TOTALS}
    for name, weight in expected.items():
        np.testing.assert_allclose(weights[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
    assert len(resumed["spent"]["curve"]) == len(unbroken["spent"]["curve"])


def test_an_objective_of_the_whole_step_is_a_failed_arm_with_its_reason(tissue, tmp_path):
    method = {"method": "context", "options": {"side": 4, "n_genes": 30, "objective": "vicreg", "preset": "nano"}}
    settings = config(methods=[method], budget={"axis": "flops", "amounts": [1e10]}, training={"accumulate": 2})
    ((record,), _) = run(settings, tissue, tmp_path, "context")
    assert record["status"] == "failed" and record["reason"].startswith("training: ContextModel: its loss")
