"""The experiment's config: what is accepted is in order, what is not gets one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.config import Budget, read_config
from benchmark.core.errors import UnitBenchError
from tests.helpers.configs import GRID
from tests.helpers.configs import read_own as read
from tests.helpers.paths import CONFIG


@pytest.mark.parametrize(
    ("lost", "meant"),
    [
        ("config/her2st.yaml", "config/default/her2st.yaml"),
        ("config/default.yaml", "config/default/simulated.yaml"),
        ("config/context.yaml", "config/context/simulated.yaml"),
        ("config/context", "config/context/simulated.yaml"),  # a folder
        ("config/context_dlpfc.yaml", "config/context/dlpfc.yaml"),
        ("config/spatia_weights_her2st.yaml", "config/spatia_weights/her2st.yaml"),
        ("config/abalation/her2st.yaml", "config/ablation/her2st.yaml"),
        ("config/default/dlpcf.yaml", "config/default/dlpfc.yaml"),
    ],
)
def test_a_config_that_is_not_there_is_told_from_the_nearest_one(monkeypatch, lost, meant):
    monkeypatch.chdir(CONFIG.parent)
    with pytest.raises(UnitBenchError, match=rf"^{lost}: file not found; did you mean {meant}\?$"):
        read_config(Path(lost))


@pytest.mark.parametrize("lost", ["config/mine.yaml", "config/sets/control.yaml", "config/datasets/cosmx.yaml"])
def test_a_config_like_none_gets_the_default_one(monkeypatch, lost):
    monkeypatch.chdir(CONFIG.parent)
    with pytest.raises(UnitBenchError, match=r"give a file of config/, e\.g\. CONFIG=config/default/simulated\.yaml$"):
        read_config(Path(lost))


@given(st.lists(st.floats(0, 1e15), min_size=1))
def test_amounts_are_sorted_and_told_apart(amounts):
    got = Budget(amounts=amounts).amounts
    assert list(got) == sorted(set(amounts))


def test_a_config_cannot_be_changed(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        read(tmp_path).name = "other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": {}}, r"unknown key 'budgets'; did you mean 'budget'\?"),
        ({"budget": {"amount": 1}}, r"unknown key 'budget.amount'; did you mean 'amounts'\?"),
        ({"splits": {"donor_fold": 2}}, r"unknown key 'splits.donor_fold'; did you mean 'donor_folds'\?"),
        ({"methods": [{"method": "pca", "option": {}}]}, r"unknown key 'methods.0.option'; did you mean 'options'\?"),
        ({"budget": {"axis": "watts"}}, "budget.axis: .*'flops', 'device_seconds' or 'spots'"),
        ({"budget": {"amounts": [-1]}}, "amounts are at least 0"),
        ({"budget": {"amounts": []}}, "budget.amounts: .*at least 1"),
        ({"methods": []}, "methods: .*at least 1"),
        ({"methods": ["pca", "pca"]}, "two methods share the label 'pca'"),
        ({"tasks": ["domain", {"task": "domain", "options": {}}]}, "the task 'domain' is listed twice"),
        ({"methods": [{"method": "pca", "label": "a/b"}]}, "label: String should match pattern"),
        ({"name": "../elsewhere"}, "name: String should match pattern"),
        ({"name": None}, "name: Input should be a valid string"),
        ({"splits": {"random_test": 1.0}}, "random_test: .*less than 1"),
        ({"seeds": ["one"]}, "seeds.0: .*valid integer"),
        ({"splits": {"few_labels": 0}}, "few_labels: .*greater than 0"),
        ({"methods": [GRID | {"options": {"size": 4}}]}, "patch: option 'size' stands in both options and vary"),
        ({"methods": [GRID | {"vary": {"size": []}}]}, "methods.0.vary.size: .*at least 1 item"),
        ({"methods": [GRID | {"vary": {"size": 8}}]}, "methods.0.vary.size: .*valid list"),
        ({"methods": ["pca", GRID | {"varies": {}}]}, "unknown key 'methods.1.varies'; did you mean 'vary'"),
        ({"methods": [GRID | {"vary": {"sizes": [[2, 4]]}}]}, r"'patch.sizes-\[2, 4\]' is no legal label"),
        ({"methods": [GRID | {"vary": {"channels": ["a/b"]}}]}, "'patch.channels-a/b' is no legal label"),
        ({"methods": [GRID | {"vary": {"size": [8, "8"]}}]}, "two methods share the label 'patch.size-8'"),
    ],
)
def test_what_is_not_understood_gets_one_line(tmp_path, changes, message):
    with pytest.raises(UnitBenchError, match=rf"mine\.yaml: .*{message}") as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "no valid YAML"),
        ("- a list", "expected keys and values, found list"),
        ("", "expected keys and values, found NoneType"),
        ("name: mine\n", "key 'methods' is missing"),
        ("name: \x00", "no valid YAML"),
    ],
)
def test_a_broken_file_gets_one_line(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UnitBenchError, match=rf"mine\.yaml: {message}"):
        read_config(tmp_path / "mine.yaml")
