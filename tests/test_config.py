"""The experiment's config: what is accepted is in order, what is not gets one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import Budget, Config, Method, read_config
from benchmark.errors import UnitBenchError

SHIPPED = sorted((Path(__file__).resolve().parents[1] / "config").glob("*.yaml"))
LEAST = {"name": "mine", "dataset": {"name": "simulated"}, "methods": ["pca"], "tasks": ["domain"]}


def read(tmp_path: Path, **changes) -> Config:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(LEAST | changes))
    return read_config(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_are_understood_and_named_after_their_file(path):
    assert read_config(path).name == path.stem


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_hold_controls_and_enough_seeds_for_a_claim(path):
    config = read_config(path)
    assert 0 in config.budget.amounts and len(config.seeds) >= 3 and 0 in config.neighbours
    assert {"random", "coordinates", "noise", "pca"} <= {method.method for method in config.methods}


def test_a_name_stands_for_a_method_of_that_label(tmp_path):
    (method,) = read(tmp_path).methods
    assert method == Method(method="pca", label="pca", options={})


def test_one_method_may_stand_twice_under_two_labels(tmp_path):
    twice = ["pca", {"method": "pca", "label": "smoothed", "options": {"neighbours": 8}}]
    assert [method.label for method in read(tmp_path, methods=twice).methods] == ["pca", "smoothed"]


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
        ({"methods": [{"method": "pca", "label": "a/b"}]}, "label: String should match pattern"),
        ({"name": "../elsewhere"}, "name: String should match pattern"),
        ({"name": None}, "name: Input should be a valid string"),
        ({"splits": {"random_test": 1.0}}, "random_test: .*less than 1"),
        ({"seeds": ["one"]}, "seeds.0: .*valid integer"),
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
        ("name: mine\n", "key 'dataset' is missing"),
        ("name: \x00", "no valid YAML"),
    ],
)
def test_a_broken_file_gets_one_line(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UnitBenchError, match=rf"mine\.yaml: {message}"):
        read_config(tmp_path / "mine.yaml")
