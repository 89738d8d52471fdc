"""The shorthand of a config: names, grids, what it extends and what it includes."""

from __future__ import annotations

import pytest
import yaml

from benchmark.core.config import Config, Method, read_config
from benchmark.core.errors import UnitBenchError
from tests.helpers.configs import GRID, LEAST
from tests.helpers.configs import read_own as read

WORDS = ["moran", "null", "0.5"]


def test_a_name_stands_for_a_method_of_that_label(tmp_path):
    (method,) = read(tmp_path).methods
    assert method == Method(method="pca", label="pca", options={})


def test_one_method_may_stand_twice_under_two_labels(tmp_path):
    twice = ["pca", {"method": "pca", "label": "smoothed", "options": {"neighbours": 8}}]
    assert [method.label for method in read(tmp_path, methods=twice).methods] == ["pca", "smoothed"]


def test_a_grid_is_an_entry_a_combination(tmp_path):
    methods = read(tmp_path, methods=["pca", GRID]).methods
    assert [m.label for m in methods] == ["pca"] + [f"patch.size-{s}.channels-{w}" for s in (8, 16) for w in WORDS]
    assert methods[4].options == {"preset": "tiny", "size": 16, "channels": "moran"}
    assert methods[4].canonical == '{"channels": "moran", "method": "patch", "preset": "tiny", "size": 16}'
    assert {m.method for m in methods[1:]} == {"patch"}


def test_a_grid_may_have_one_value_and_a_label_of_its_own(tmp_path):
    one = {"method": "patch", "label": "mine", "vary": {"size": [8]}}
    (method,) = read(tmp_path, methods=[one]).methods
    assert method == Method(method="patch", label="mine.size-8", options={"size": 8})


def test_the_resolved_config_has_no_shorthand_and_reads_as_itself(tmp_path):
    config = read(tmp_path, methods=[GRID])
    resolved = config.model_dump(mode="json")
    assert "vary" not in resolved["methods"][0]
    assert Config(**resolved) == config


def test_a_config_takes_from_another_what_it_does_not_say(tmp_path):
    (tmp_path / "inner").mkdir()
    for path, values in {
        "base.yaml": LEAST | {"seeds": [7], "splits": {"random_repeats": 3, "block_repeats": 1}},
        "inner/middle.yaml": {"extends": "../base.yaml", "splits": {"random_repeats": 4}},
        "top.yaml": {"extends": "inner/middle.yaml", "name": "top"},
    }.items():
        (tmp_path / path).write_text(yaml.safe_dump(values))
    config = read_config(tmp_path / "top.yaml")
    assert (config.name, config.seeds, config.dataset.name) == ("top", (7,), "simulated")
    assert (config.splits.random_repeats, config.splits.block_repeats) == (4, 0)  # a key replaces the whole of another


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"mine.yaml": "extends: lost.yaml"}, r"lost\.yaml: file not found; correct `extends` in .*mine\.yaml"),
        ({"mine.yaml": "extends: mine.yaml"}, r"mine\.yaml: extends itself"),
        ({"mine.yaml": "extends: b.yaml", "b.yaml": "extends: ./mine.yaml"}, r"mine\.yaml: extends itself"),
        ({"mine.yaml": "extends: [a, b]"}, r"mine\.yaml: extends: expected the name of a file, found \['a', 'b'\]"),
        ({"mine.yaml": "extends: b.yaml", "b.yaml": "- 1"}, r"b\.yaml: expected keys and values, found list"),
        ({"mine.yaml": "extends: b.yaml", "b.yaml": "a: ["}, r"b\.yaml: no valid YAML"),
    ],
)
def test_what_cannot_be_extended_gets_one_line(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UnitBenchError, match=message) as error:
        read_config(tmp_path / "mine.yaml")
    assert "\n" not in str(error.value)


def test_an_included_list_stands_in_the_place_of_its_name(tmp_path):
    (tmp_path / "sets").mkdir()
    for path, values in {
        "sets/controls.yaml": ["random", {"include": "smooth.yaml"}, "noise"],  # a set's folder, not the config's
        "sets/smooth.yaml": [{"method": "pca", "label": "smoothed", "options": {"neighbours": 8}}],
        "sets/tasks.yaml": ["domain", "clustering"],
    }.items():
        (tmp_path / path).write_text(yaml.safe_dump(values))
    methods = ["supervised", {"include": "sets/controls.yaml"}, "pca"]
    config = read(tmp_path, methods=methods, tasks=[{"include": "sets/tasks.yaml"}, "annotation"])
    assert [method.label for method in config.methods] == ["supervised", "random", "smoothed", "noise", "pca"]
    assert config.methods[2] == Method(method="pca", label="smoothed", options={"neighbours": 8})
    assert [task.task for task in config.tasks] == ["domain", "clustering", "annotation"]
    assert config == read(
        tmp_path,
        methods=[
            "supervised",
            "random",
            {"method": "pca", "label": "smoothed", "options": {"neighbours": 8}},
            "noise",
            "pca",
        ],
        tasks=["domain", "clustering", "annotation"],
    )


def test_what_a_config_extends_includes_from_its_own_folder(tmp_path):
    for folder, control in {"base": "random", "mine": "noise"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "set.yaml").write_text(f"- {control}")
    (tmp_path / "base/base.yaml").write_text(yaml.safe_dump(LEAST | {"methods": [{"include": "set.yaml"}]}))
    (tmp_path / "mine/mine.yaml").write_text("extends: ../base/base.yaml")
    assert [method.label for method in read_config(tmp_path / "mine/mine.yaml").methods] == ["random"]


SET = {"mine.yaml": yaml.safe_dump(LEAST | {"methods": ["pca", {"include": "set.yaml"}]})}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"set\.yaml: file not found; correct `include` in .*mine\.yaml"),
        ({"set.yaml": "pca"}, r"set\.yaml: expected a list, found str; correct it, or `include` in .*mine\.yaml"),
        ({"set.yaml": "include: b.yaml"}, r"set\.yaml: expected a list, found dict"),
        ({"set.yaml": ""}, r"set\.yaml: expected a list, found NoneType"),
        ({"set.yaml": "- ["}, r"set\.yaml: no valid YAML"),
        ({"set.yaml": "- include: set.yaml"}, r"set\.yaml: includes itself; let `include` name another file"),
        ({"set.yaml": "- include: b.yaml", "b.yaml": "- include: ./set.yaml"}, r"set\.yaml: includes itself"),
        ({"set.yaml": "- include: mine.yaml"}, r"mine\.yaml: includes itself"),
        ({"set.yaml": "- include: lost.yaml"}, r"lost\.yaml: file not found; correct `include` in .*set\.yaml"),
        ({"set.yaml": "- include: [b]"}, r"set\.yaml: include: expected the name of a file, found \['b'\]"),
        ({"set.yaml": "- {include: b.yaml, label: b}"}, r"mine\.yaml: unknown key 'methods\.1\.include'"),
        ({"set.yaml": "- pca"}, r"mine\.yaml: .*two methods share the label 'pca'"),
    ],
)
def test_what_cannot_be_included_gets_one_line(tmp_path, files, message):
    for name, text in (SET | files).items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UnitBenchError, match=message) as error:
        read_config(tmp_path / "mine.yaml")
    assert "\n" not in str(error.value)
