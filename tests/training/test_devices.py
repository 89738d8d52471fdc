"""Several devices, here processes on a CPU: the same losses, weights and totals as one; a killed one is a failure."""

import multiprocessing
import re
import time

import numpy as np
import psutil
import pytest
import torch

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError
from benchmark.model.trunk import Preset
from benchmark.training import loop
from benchmark.training.budget import ONE_DEVICE, Budget, Training
from tests.helpers import ranks

MICRO = Preset(d=16, layers=1, heads=2, learning_rate=1e-3)
N_STEPS, A_STEP = 50, 77  # about so many spots a step
TOTALS = ("flops", "spots", "steps", "axis", "amount", "energy_joules")


def trained(tissue, training=ONE_DEVICE, schedule=loop.cosine, rate=1e-3, n_steps=N_STEPS, **options):
    """A module and its meter after about 50 steps."""
    torch.manual_seed(0)
    module = ranks.Spare(torch.zeros(len(tissue.genes)), MICRO)
    unit = ranks.FewCrops(size=4, n_channels=16)
    budget = Budget("spots", A_STEP * n_steps, "fp32", training=training, **options)
    return module, loop.pretrain(module, unit, tissue, budget, 0, rate, schedule)


@pytest.fixture(scope="module")
def alone(tissue):
    """On one device, with a point of the curve at every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECK_EVERY", 1)
        return trained(tissue)


def losses(meter) -> list[float]:
    return [point["loss"] for point in meter.curve]


def assert_same_end(one, other):
    """The same totals, and weights that differ by rounding."""
    (module, meter), (expected, wanted) = one, other
    assert {name: getattr(meter, name) for name in TOTALS} == {name: getattr(wanted, name) for name in TOTALS}
    assert np.array_equal(meter.seen, wanted.seen)
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], weight, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize(
    "training",
    [Training(devices=2), Training(devices=2, strategy="fsdp"), Training(devices=2, accumulate=2)],
    ids=["ddp", "fsdp", "accumulate"],
)
def test_two_devices_have_the_losses_and_totals_of_one(tissue, alone, training, monkeypatch):
    monkeypatch.setattr(loop, "train", ranks.every_step)
    told = []
    both = trained(tissue, training, progress=lambda fraction, text: told.append(fraction))
    assert alone[1].steps == pytest.approx(N_STEPS, abs=5)
    np.testing.assert_allclose(losses(both[1]), losses(alone[1]), rtol=1e-5)
    assert_same_end(both, alone)
    assert both[1].devices == 2 and both[1].device_seconds > 0
    assert len(told) == both[1].steps and told == sorted(told)  # of the first process alone


def test_turns_on_one_device_have_the_losses_and_totals_of_one_turn(tissue, alone, monkeypatch):
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)
    turns = trained(tissue, Training(accumulate=3))
    np.testing.assert_allclose(losses(turns[1]), losses(alone[1]), rtol=1e-5)
    assert_same_end(turns, alone)


@pytest.mark.slow
def test_a_killed_process_is_an_error_and_the_rest_may_be_done_on_another_number_of_devices(
    tissue, alone, monkeypatch, tmp_path
):
    checkpoint = tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", ranks.killed)
        with pytest.raises(UnitBenchError, match=r"^device 2 of 2: its process was ended by signal 9 \(SIGKILL\)"):
            trained(tissue, Training(devices=2), checkpoint=checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["meter"]
    assert saved["steps"] == ranks.KILLED_AT - 4 and saved["devices"] == 2
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)
    steps = []
    resumed = trained(tissue, checkpoint=checkpoint, progress=lambda fraction, text: steps.append(fraction))
    assert len(steps) == resumed[1].steps - saved["steps"]  # it did not begin anew
    assert resumed[1].devices == 1
    assert_same_end(resumed, alone)


@pytest.mark.slow
def test_what_one_device_has_begun_two_divided_ones_end(tissue, alone, monkeypatch, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"

    def stop(fraction, text):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", -1)
        patch.setattr(loop, "CHECK_EVERY", 4)
        with pytest.raises(KeyboardInterrupt):
            trained(tissue, checkpoint=checkpoint, progress=stop)
    resumed = trained(tissue, Training(devices=2, strategy="fsdp"), checkpoint=checkpoint)
    assert resumed[1].devices == 2
    assert_same_end(resumed, alone)


def test_an_error_of_a_process_comes_back_as_it_is(tissue, monkeypatch):
    monkeypatch.setattr(loop, "train", ranks.every_step)
    with pytest.raises(UnitBenchError) as error:
        trained(tissue, Training(devices=2), rate=1e30)
    assert re.fullmatch(r"pretraining: diverged at step \d+ \(loss nan\); lower the learning rate", str(error.value))
    assert "in finite" in error.value.__notes__[0]  # its traceback


def test_a_full_disk_is_no_error_of_the_training(tissue, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "train", ranks.on_a_full_disk)
    with pytest.raises(WriteError, match="No space left on device"):
        trained(tissue, Training(devices=2), checkpoint=tmp_path / "checkpoint.pt")


@pytest.mark.slow
def test_no_process_outlives_the_one_that_asked(tissue, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "train", ranks.telling_its_process)
    options = {"checkpoint": tmp_path / "checkpoint.pt", "n_steps": 10**6}
    asks = multiprocessing.get_context("fork").Process(
        target=trained, args=(tissue, Training(devices=2)), kwargs=options
    )
    asks.start()
    while len(told := list(tmp_path.glob("process-*"))) < 2:
        assert asks.is_alive()
        time.sleep(0.1)
    processes = [psutil.Process(int(path.name.removeprefix("process-"))) for path in told]
    asks.kill()
    assert not psutil.wait_procs(processes, timeout=60)[1]


def test_what_cannot_be_sent_to_other_processes_is_refused(tissue):
    with pytest.raises(UnitBenchError, match="define what it is made of at the top of a module"):
        trained(tissue, Training(devices=2), schedule=lambda fraction: 1.0)


def test_several_nodes_without_slurm_are_refused(tissue, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnitBenchError, match=r"training.nodes: 2 nodes, and there is no srun here; run in a Slurm job"):
        trained(tissue, Training(nodes=2))


@pytest.mark.slow
def test_the_tasks_of_srun_find_each_other(tissue, alone, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(ranks.srun(tmp_path).parent), prepend=":")
    nodes = trained(tissue, Training(nodes=2), checkpoint=tmp_path / "checkpoint.pt")
    assert nodes[1].devices == 2
    assert_same_end(nodes, alone)
