"""Pretraining: it spends its budget, repeats to the bit, and a resumed run ends as an unbroken one."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from baselines.spot_genes import SpotGenes
from benchmark.core.errors import UnitBenchError
from benchmark.model.masked import Masked
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training import loop as pretrain_module
from benchmark.training import resources
from benchmark.training.budget import Budget
from benchmark.training.loop import cosine
from benchmark.units import expression
from benchmark.units.patch import candidates
from methods.patch.method import Patch


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=1e-3))
    monkeypatch.setattr(pretrain_module, "CHECK_EVERY", 4)


METHODS = {
    "spot_genes": lambda: SpotGenes(n_tokens=16, preset="micro"),
    "patch": lambda: Patch(size=4, n_channels=16, preset="micro"),
}
# Amounts of some tens of steps.
SPOTS = {"spot_genes": 2_000, "patch": 20_000}
AMOUNTS = {"flops": dict.fromkeys(METHODS, 5e8), "spots": SPOTS}
by_name = pytest.mark.parametrize("name", METHODS)


def fitted(name, corpus, budget, seed=0):
    method = METHODS[name]()
    return method, method.fit(corpus, budget, seed)


def same_weights(a, b) -> bool:
    return all(torch.equal(x, b.model.state_dict()[name]) for name, x in a.model.state_dict().items())


@pytest.fixture
def steps(monkeypatch):
    """The batches that modules are trained on, in order."""
    seen = []
    forward_of = torch.nn.Module.__call__

    def watched(module, *inputs):
        if isinstance(module, Masked) and module.gene_mean.device.type != "meta":
            seen.append((module, *inputs))
        return forward_of(module, *inputs)

    monkeypatch.setattr(Masked, "__call__", watched)
    return seen


# Spending


@by_name
@pytest.mark.parametrize("axis", AMOUNTS)
def test_spent_is_within_two_percent_of_the_target_by_another_count(tissue, steps, name, axis):
    _, meter = fitted(name, tissue, Budget(axis, AMOUNTS[axis][name], "fp32"))
    taken = list(steps)
    n_spots = {"spot_genes": len, "patch": torch.sum}[name]
    spots = sum(int(n_spots(batch["valid"])) for _, batch, _ in taken)
    shapes = Counter(batch["values"].shape for _, batch, _ in taken)
    examples = {batch["values"].shape: (module, batch, hidden) for module, batch, hidden in taken}
    flops = 0
    for shape, (module, batch, hidden) in examples.items():
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(batch, hidden).backward()
        flops += shapes[shape] * counter.get_total_flops()
    recounted = {"flops": flops, "spots": spots, "steps": len(taken)}
    assert recounted == {name: getattr(meter, name) for name in recounted}
    assert recounted[axis] == pytest.approx(AMOUNTS[axis][name], rel=0.02)


@by_name
def test_the_record_says_all_that_was_spent(tissue, name):
    _, meter = fitted(name, tissue, Budget("spots", SPOTS[name]))
    record = meter.record()
    # Spots are drawn one by one with replacement; patches overlap so often that all spots are seen.
    share = 1 - np.exp(-meter.spots / tissue.n_spots) if name == "spot_genes" else 1
    assert record["unique_spots"] == pytest.approx(share * tissue.n_spots, rel=0.03)
    assert record["energy_joules"] is None  # a CPU has no counter, and none is not zero
    assert record["peak_memory_bytes"] > 1e6
    assert record["flops"] > 0 and record["device_seconds"] > 0


def test_an_amount_of_zero_leaves_the_model_untrained(tissue, steps):
    method, meter = fitted("patch", tissue, Budget("flops", 0))
    assert meter is None and not steps
    trained, _ = fitted("patch", tissue, Budget("spots", SPOTS["patch"]))
    assert not same_weights(method, trained)


@by_name
def test_a_budget_of_less_than_a_step_is_an_error(tissue, name):
    with pytest.raises(UnitBenchError, match="give a larger budget") as error:
        fitted(name, tissue, Budget("spots", 3))
    assert "\n" not in str(error.value)


@pytest.fixture
def fake_time(monkeypatch):
    """A clock that moves a millisecond whenever it is read."""
    now = SimpleNamespace(seconds=0.0)

    def tick():
        now.seconds += 0.001
        return now.seconds

    monkeypatch.setattr(resources.time, "perf_counter", tick)
    return now


def test_seconds_are_spent_on_the_device_alone(tissue, fake_time):
    def idle(fraction, text):
        fake_time.seconds += 3600

    _, meter = fitted("patch", tissue, Budget("device_seconds", 0.2, progress=idle))
    assert meter.device_seconds == pytest.approx(0.2, rel=0.02)
    assert fake_time.seconds > 3600


@by_name
def test_preparing_the_corpus_is_not_on_the_clock(tissue, name, fake_time, monkeypatch):
    def slow(field, spots):
        fake_time.seconds += 3600 if len(spots) == field.n_spots else 0
        return read(field, spots)

    read = expression.Field._read
    monkeypatch.setattr(expression.Field, "_read", slow)
    for cached in (expression.fields, candidates):
        cached.cache_clear()
    _, meter = fitted(name, tissue, Budget("spots", SPOTS[name]))
    assert fake_time.seconds > 3600 > meter.device_seconds


# Learning


def test_the_learning_rate_rises_to_its_peak_at_a_tenth_and_falls_to_zero():
    assert 0 < cosine(0) < 0.1
    assert cosine(0.1) == pytest.approx(1)
    assert cosine(0.55) == pytest.approx(0.5)
    assert cosine(1) == pytest.approx(0) == cosine(1.02)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_learning_rate_is_between_zero_and_its_peak_and_has_one_summit(a, b):
    a, b = sorted((a, b))
    assert 0 <= cosine(a) <= 1
    if b <= 0.1:
        assert cosine(a) <= cosine(b) + 1e-12
    if a >= 0.1:
        assert cosine(a) >= cosine(b) - 1e-12


@by_name
def test_training_lowers_the_loss(tissue, name):
    losses = []
    budget = Budget("spots", 5 * SPOTS[name], progress=lambda _, text: losses.append(text))
    fitted(name, tissue, budget)
    values = [float(text.split()[-1]) for text in losses]
    assert np.mean(values[-10:]) < np.mean(values[:3])


@by_name
def test_a_seed_repeats_to_the_bit_and_another_differs(tissue, name):
    (first, _), (again, _), (other, _) = (
        fitted(name, tissue, Budget("spots", SPOTS[name]), seed) for seed in (0, 0, 1)
    )
    assert same_weights(first, again)
    assert not same_weights(first, other)


@by_name
def test_a_run_that_is_killed_ends_as_an_unbroken_one(tissue, name, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain_module, "CHECKPOINT_SECONDS", -1)

    def killed_in_the_middle(fraction, text):
        if fraction > 0.5:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fitted(name, tissue, Budget("spots", SPOTS[name], checkpoint=checkpoint, progress=killed_in_the_middle))
    fractions = []
    budget = Budget(
        "spots", SPOTS[name], checkpoint=checkpoint, progress=lambda fraction, text: fractions.append(fraction)
    )
    resumed, meter = fitted(name, tissue, budget)
    unbroken, expected = fitted(name, tissue, Budget("spots", SPOTS[name]))
    assert min(fractions) > 0.4  # it did not begin anew
    assert same_weights(resumed, unbroken)
    for total in ("flops", "spots", "steps", "axis", "amount", "energy_joules"):
        assert getattr(meter, total) == getattr(expected, total)
    assert np.array_equal(meter.seen, expected.seen)


def test_a_loss_that_is_not_finite_is_an_error(tissue, monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=1e30))
    with pytest.raises(UnitBenchError, match=r"diverged at step .*; lower the learning rate"):
        fitted("patch", tissue, Budget("spots", SPOTS["patch"]))


def test_on_a_gpu_the_error_tells_how_to_do_without_the_compiler():
    loss = SimpleNamespace(item=lambda: float("nan"), is_cuda=True)
    with pytest.raises(UnitBenchError, match=r"step 3 .*; lower the learning rate, or set TORCH_COMPILE_DISABLE=1"):
        pretrain_module.finite(loss, 3)
