"""The kit catches what breaks the contract, each in one line that says what is asked."""

from __future__ import annotations

import re

import pytest

from benchmark.core.declarations import declared
from benchmark.testing import MethodChecks
from benchmark.testing.classes import CHECKS
from benchmark.testing.subject import Subject, run_checks
from tests.helpers.plugins import install

METHODS = '''
import numpy as np

class Honest:
    """Total counts."""
    unit = "none"
    def fit(self, corpus, budget, seed): pass
    def embed(self, slide): return np.asarray(slide.X.sum(axis=1))

class Silent(Honest): pass
Silent.__doc__ = ""

class NoUnit:
    """Lacks a unit."""
    def fit(self, corpus, budget, seed): pass

class WrongUnit(Honest):
    """A unit that nobody knows."""
    unit = "cell"

class NoFit:
    """Lacks fit."""
    unit = "none"

class FewArguments(Honest):
    """fit without a seed."""
    def fit(self, corpus, budget): pass

class Hidden(Honest):
    """An option of a type that nobody can read."""
    def __init__(self, size: "Nowhere" = 1): pass

class Useless:
    """Nothing that a task asks for."""
    unit = "none"
    def fit(self, corpus, budget, seed): pass

class Flat(Honest):
    """One number a spot, without a second axis."""
    def embed(self, slide): return super().embed(slide).ravel()

class NotFinite(Honest):
    """NaN."""
    def embed(self, slide): return super().embed(slide) * np.nan

class Fickle(Honest):
    """Another result each time."""
    def embed(self, slide): return np.random.default_rng().normal(size=(slide.n_obs, 2))

class InPlace(Honest):
    """Normalises the slide that it is given."""
    def embed(self, slide):
        slide.X.data[:] = np.log1p(slide.X.data)
        return super().embed(slide)

class Crash(Honest):
    """An error of its own."""
    def embed(self, slide): return 1 / 0

class Deep(Honest):
    """An error within a library that it calls."""
    def embed(self, slide): return np.linalg.inv(np.zeros((2, 3)))

class Forgetful(Honest):
    """Ends otherwise when a fit is resumed."""
    unit = "spot"
    def fit(self, corpus, budget, seed):
        self.shift = 0
        if not budget.amount:
            return None
        if budget.checkpoint:
            self.shift = budget.checkpoint.exists()
            budget.checkpoint.touch()
            budget.progress(0.9, "")
        budget.meter.report(flops=budget.amount, spots=50, steps=50)
    def save(self, path):
        from safetensors.numpy import save_file
        save_file({"shift": np.ones(1)}, path)
    def embed(self, slide): return super().embed(slide) + self.shift

class NoMeter(Honest):
    """A unit, and no meter."""
    unit = "spot"

class Overspender(Honest):
    """Spends twice what it may."""
    unit = "spot"
    def fit(self, corpus, budget, seed):
        budget.meter.report(flops=2 * budget.amount, spots=50, steps=50 * (budget.amount > 0))

class NoSave(Honest):
    """A meter, and no save."""
    unit = "spot"
    def fit(self, corpus, budget, seed):
        budget.meter.report(flops=budget.amount, spots=50, steps=50 * (budget.amount > 0))

class Boaster(Honest):
    """Counts more than the machine can do: so many FLOPs in no time. Smaller budgets are refused as overspent."""
    unit = "spot"
    def fit(self, corpus, budget, seed):
        flops = budget.amount * (1 if budget.amount > 5e11 else 2)
        budget.meter.report(flops=flops, spots=50, steps=50 * (budget.amount > 0))
    def save(self, path): pass

class Trainer(Honest):
    """Trains without a unit."""
    def fit(self, corpus, budget, seed):
        import torch
        torch.ones(3, requires_grad=True).sum().backward()

class Secret(Trainer):
    """Trains at amount 0."""
    unit = "spot"
    def fit(self, corpus, budget, seed):
        super().fit(corpus, budget, seed)
        budget.meter.report(flops=budget.amount, spots=50, steps=50 * (budget.amount > 0))

class Hider(Honest):
    """Spends more than it says."""
    unit = "spot"
    def fit(self, corpus, budget, seed):
        import torch
        if budget.amount:
            for _ in range(10):
                torch.ones(100, 100) @ torch.ones(100, 100)
            budget.meter.report(flops=budget.amount, spots=50, steps=50)

class OneName(Honest):
    """A text where a list of names is asked."""
    pretrained_on = "donor0_0"
'''
CAUGHT = {
    "Silent": "no docstring",
    "NoUnit": "no attribute `unit`",
    "WrongUnit": "unit is 'cell', one of 'spot', 'patch', 'slide', 'none' is asked",
    "NoFit": r"no function fit\(corpus, budget, seed\)",
    "FewArguments": r"fit\(corpus, budget, seed\) is asked, and it cannot be called so",
    "Hidden": "a type of its options cannot be read: NameError: name 'Nowhere' is not defined",
    "Useless": "none of embed, .*: no task could score it",
    "Flat": r"embed gave shape \(\d+,\), \(\d+, d\) is asked",
    "NotFinite": "embed gave values that are not finite",
    "Fickle": "embed gives another result when called again",
    "InPlace": r"ValueError at rogues.py:\d+: .* read-only; slides are shared, so change a copy: slide.copy\(\)",
    "Crash": r"ZeroDivisionError at rogues.py:\d+: division by zero",
    "Deep": r"LinAlgError at rogues.py:\d+: ",
    "Forgetful": "embed differs after a resumed fit",
    "NoMeter": r"budget.meter: fit spent nothing of 1e\+07 \(flops\)",
    "Overspender": r"budget flops: spent 1.31e\+12 of 6.55e\+11 in 50 steps",
    "Boaster": r"budget.meter: .* FLOP/s were reported; a product of two 1024 × 1024 matrices has",
    "Trainer": "unit 'none': it trains: gradients were taken in fit; name its unit",
    "Secret": "budget 0: it trains: gradients were taken in fit; return untrained at amount 0",
    "Hider": r"budget.meter: PyTorch's counter saw 2e\+07 of 1e\+07 FLOPs",
    "NoSave": r"save\(path\) is asked",
    "OneName": "pretrained_on is 'donor0_0', a list",
}
TASKS = '''
import numpy as np
from benchmark.core.contracts import KeyScore, Measured, Metric

class Good:
    """The spread of an embedding."""
    requires = "embed"
    splits = ("donor",)
    metrics = (Metric("spread", lower_is_better=True),)
    key_scores = (KeyScore("spread", "all", "spread"),)
    name = "good"
    def score(self, train, test, seed):
        yield Measured("all", "spread", float(test.embedding.std()), str(test.slide[0]))

class Undeclared(Good):
    """A metric that it does not declare."""
    name = "undeclared"
    def score(self, train, test, seed):
        yield from super().score(train, test, seed)
        yield Measured("all", "secret", 1.0, str(test.slide[0]))

class NoKey(Good):
    """A key score of a metric that is not there."""
    name = "nokey"
    key_scores = (KeyScore("spread", "all", "width"),)

class Letters(Good):
    """A heading that MLflow refuses."""
    name = "letters"
    key_scores = (KeyScore("spread [%]", "all", "spread"),)

class Undefined(Good):
    """NaN."""
    name = "undefined"
    def score(self, train, test, seed):
        yield Measured("all", "spread", float("nan"), str(test.slide[0]))

class Misnamed(Good):
    """Another name than that of its entry point."""

class Blind(Good):
    """A function of the method without predict."""
    name = "blind"
    requires = "impute"
'''
TASKS_CAUGHT = {
    "undeclared": "it measured 'secret', which `metrics` does not declare",
    "nokey": "key score 'spread' is of 'width', which `metrics` does not declare",
    "letters": r"key score 'spread \[%\]': letters",
    "undefined": "all spread is nan, a finite number is asked",
    "misnamed": "its name is 'good', 'misnamed' is asked",
    "blind": "it requires 'impute', so predict is asked",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    entries = "\n".join(f"{name.lower()} = rogues:{name}" for name in ("Honest", *CAUGHT))
    install(tmp_path, "rogues", METHODS, entries)
    entries = "\n".join(f"{name.lower()} = trials:{name}" for name in re.findall(r"class (\w+)", TASKS))
    install(tmp_path, "trials", TASKS, entries, "unitbench.tasks")
    monkeypatch.syspath_prepend(tmp_path)
    declared.cache_clear()
    yield
    declared.cache_clear()


def violations(kind: str, name: str) -> list[str]:
    return [o.violated for o in run_checks(Subject(kind, name), CHECKS[kind]) if o.violated]


@pytest.mark.parametrize(("kind", "name"), [("methods", "honest"), ("tasks", "good")])
def test_what_keeps_the_contract_passes(kind, name, site):
    assert violations(kind, name) == []


@pytest.mark.parametrize("name", CAUGHT)
def test_a_method_that_breaks_the_contract_is_caught(name, site):
    found = violations("methods", name.lower())
    assert any(re.search(CAUGHT[name], line) for line in found), found
    assert all("\n" not in line for line in found)


@pytest.mark.parametrize("name", TASKS_CAUGHT)
def test_a_task_that_breaks_the_contract_is_caught(name, site):
    assert any(re.search(TASKS_CAUGHT[name], line) for line in violations("tasks", name))


class TestCoordinates(MethodChecks):
    """What a plugin's author writes."""

    plugin = "coordinates"


def test_the_class_has_a_test_for_each_check():
    tests = {name for name in dir(TestCoordinates) if name.startswith("test_")}
    assert tests == {f"test_it_{check.__name__}" for check in CHECKS["methods"]}
