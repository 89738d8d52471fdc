"""Settings that cannot be meant: each is refused in one line, before anything is read or run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from benchmark import cli
from benchmark.core import registry
from benchmark.core.config import read_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.yaml_file import LARGEST, parse_yaml
from benchmark.experiment.layout import open_run
from tests.helpers.configs import LEAST
from tests.helpers.configs import read_own as read
from tests.helpers.plugins import install

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)
)


def refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    """A config of this text is refused, in one line that names the file."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UnitBenchError, match=rf"mine\.yaml: .*{message}") as error:
        read_config(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget: {amounts: [.nan]}", "line 1: .nan is no finite number"),
        ("budget: {amounts: [.inf]}", "line 1: .inf is no finite number"),
        ("budget:\n  amounts: [1e999]", "line 2: 1e999 is no finite number"),
        ("methods: [{method: pca, options: {k: .nan}}]", "line 1: .nan is no finite number"),
        ("seeds: [" + "9" * 5000 + "]", "is no finite number"),
        ("name: a\nseeds: [0]\nname: b", "line 3: the key 'name' stands twice; remove one"),
        ("seeds: [010]", "line 1: 010 may be meant in two ways"),
        ("seeds: [1:30]", "line 1: 1:30 may be meant in two ways"),
        (LAUGHS, "line 6: stands for over 100,000 values"),
        ("a: &a [*a]", "line 1: a value that holds itself"),
        ("a: &a {<<: *a}", "line 1: a value that holds itself"),
        ("a: " + "[" * 1000 + "]" * 1000, "nested over 20 levels deep"),
        ("a: " + "[" * 25 + "]" * 25, "nested over 20 levels deep"),
        ("a: !!python/object/apply:os.getcwd []", "the tag !!python/object/apply:os.getcwd is not known here"),
        ("a: !!set {x, y}", "the tag !!set is not known here"),
        ("a: 1\n---\na: 2", "no valid YAML"),
        ("name: [\n  b: }", "no valid YAML .line 2: "),
        (b"name: caf\xe9", "line 1: not UTF-8; save it as UTF-8"),
        (b"\xff\xfen\x00", "line 1: not UTF-8"),
        ('extends: "a\\0b"', "extends: expected the name of a file"),
        ("#" * (LARGEST + 1), "over 200 kB, so it is no file of settings"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_yaml_that_cannot_be_meant(tmp_path, text, message):
    refused(tmp_path, text, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [-1]}, "seeds.0: .*greater than or equal to 0, not -1"),
        ({"seeds": [0, 0]}, "seeds: 0 is listed twice: remove one"),
        ({"seeds": [2**70]}, "seeds.0: .*less than 4294967296"),
        ({"seeds": ["8"]}, "seeds.0: .*valid integer, not '8'"),
        ({"seeds": [True]}, "seeds.0: .*valid integer, not True"),
        ({"seeds": [1.0]}, "seeds.0: .*valid integer, not 1.0"),
        ({"seeds": 1}, "seeds: .*valid list, not 1"),
        ({"neighbours": [-1]}, "neighbours.0: .*greater than or equal to 0"),
        ({"neighbours": []}, "neighbours: .*at least 1 item"),
        ({"neighbours": [8, 0, 8]}, "neighbours: 8 is listed twice"),
        ({"neighbours": [10**9]}, "neighbours.0: .*less than or equal to 1000"),
        ({"budget": {"amounts": ["1.0"]}}, "budget.amounts.0: .*valid number, not '1.0'"),
        ({"budget": {"amounts": [True]}}, "budget.amounts.0: .*valid number, not True"),
        ({"splits": {"random_repeats": 10**9}}, "random_repeats: .*less than or equal to 1000"),
        ({"splits": {"donor_folds": "2"}}, "donor_folds: .*valid integer, not '2'"),
        ({"methods_per_job": True}, "methods_per_job: .*valid integer, not True"),
        ({"name": 8}, "name: .*valid string, not 8"),
        ({"dataset": {"name": "simulated", "options": [1]}}, "dataset.options: .*keys and values, not .1."),
        (
            {"methods": [{"method": "pca", "vary": {name: list(range(2000)) for name in "abc"}}]},
            "pca: vary makes 8,000,000,000 combinations; at most 10,000 are taken",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_values_that_cannot_be_meant(tmp_path, changes, message):
    with pytest.raises(UnitBenchError, match=rf"mine\.yaml: .*{message}") as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)


def test_numbers_are_as_a_reader_takes_them():
    values = parse_yaml("{a: 1e11, b: 1.5e-3, c: 2024-01-01, d: 0, e: 0.5, f: 0x10}", "here")
    assert values == {"a": 1e11, "b": 1.5e-3, "c": "2024-01-01", "d": 0, "e": 0.5, "f": 16}


def test_anchors_and_merges_are_still_understood():
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}", "here")["b"] == {"x": 1, "y": 2}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(UnitBenchError, match=f"{path.name}: not a regular file"):
            read_config(path)


def test_a_file_of_a_gigabyte_is_not_read(tmp_path):
    path = tmp_path / "mine.yaml"
    with open(path, "wb") as file:
        file.truncate(10**9)
    with pytest.raises(UnitBenchError, match="over 200 kB"):
        read_config(path)


@pytest.mark.parametrize(
    ("kind", "name", "options", "message"),
    [
        ("methods", "patch", {"size": "8"}, r"method 'patch': option size: .*valid integer.*, not '8'"),
        ("methods", "patch", {"size": True}, r"option size: .*valid integer.*, not True"),
        ("methods", "patch", {"min_occupancy": float("nan")}, r"option min_occupancy: nan is no finite number"),
        ("methods", "patch", {"min_occupancy": float("inf")}, r"option min_occupancy: inf is no finite number"),
        (
            "datasets",
            "simulated",
            {"n_donors": "2"},
            r"dataset 'simulated': option n_donors: .*valid integer.*, not '2'",
        ),
        ("datasets", "simulated", {"image": 1}, r"dataset 'simulated': option image: .*valid boolean, not 1"),
    ],
)
def test_options_are_not_converted(kind, name, options, message):
    with pytest.raises(UnitBenchError, match=message):
        registry.make(kind, name, options)


HINTS = '''
from __future__ import annotations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from somewhere import Something

class Unread:
    """Its option has a type that only type checkers can read."""
    def __init__(self, option: Something = None):
        self.option = option

class Foreign:
    """Its option has a type that YAML has not."""
    def __init__(self, option: np.random.Generator = None):
        self.option = option
'''


@pytest.mark.parametrize(
    ("name", "message"), [("Unread", "'Something' is not defined"), ("Foreign", "option: .*Generator")]
)
def test_a_type_that_cannot_be_read_is_known_to_the_kit_and_stops_no_run(tmp_path, monkeypatch, name, message):
    install(tmp_path, "hints", HINTS, f"hints = hints:{name}", "unitbench.tasks")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.make("tasks", "hints", {"option": 3}).option == 3
    with pytest.raises(TypeError, match=message):
        registry.option_types(registry.find("tasks", "hints").load())


def test_a_run_of_very_many_arms_asks_whether_it_is_meant(tmp_path, monkeypatch, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(LEAST | {"seeds": list(range(1000)), "methods": ["pca", "random"]}))
    n_arms = open_run(path).most_arms
    folds = len(open_run(path).jobs) // 2
    assert n_arms == 2 * folds * 1000
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["unitbench", "run", "--config", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and f"makes up to {n_arms:,} arms; give --many" in err
    assert not (tmp_path / "results").exists()
