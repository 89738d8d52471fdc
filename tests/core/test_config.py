"""The experiment's config: what is accepted is in order, what is not gets one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core import registry
from benchmark.core.config import Budget, Config, Method, read_config
from benchmark.core.errors import UnitBenchError
from tests.helpers.paths import CONFIG

SHIPPED = sorted(path for path in CONFIG.glob("*/*.yaml") if path.parent.name not in ("datasets", "sets"))
SETS = sorted(CONFIG.glob("sets/*.yaml"))
each_shipped = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
LEAST = {"name": "mine", "dataset": {"name": "simulated"}, "methods": ["pca"], "tasks": ["domain"]}


GRID = {"method": "patch", "options": {"preset": "tiny"}, "vary": {"size": [8, 16], "channels": ["moran", None, 0.5]}}
WORDS = ["moran", "null", "0.5"]


def read(tmp_path: Path, **changes) -> Config:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(LEAST | changes, sort_keys=False))
    return read_config(path)


@each_shipped
def test_shipped_configs_are_understood_and_named_after_their_folder_and_file(path):
    experiment, dataset = path.parent.name, path.stem
    if experiment == "default" and dataset != "simulated":
        assert read_config(path).name == dataset
    else:
        assert read_config(path).name == (experiment if dataset == "simulated" else f"{experiment}_{dataset}")


@each_shipped
def test_shipped_configs_hold_controls_and_enough_seeds_for_a_claim(path):
    config = read_config(path)
    tasks, methods = {task.task for task in config.tasks}, {method.method for method in config.methods}
    assert len(config.seeds) >= 3 and 0 in config.neighbours
    if tasks & {"domain", "clustering"}:
        assert {"random", "coordinates", "noise", "pca"} <= methods
    if "reconstruction" in tasks:
        assert {"gene_mean", "neighbour_mean", "inverse_distance"} <= methods
    # What compares settings of one method does so at one budget; all else has its untrained control.
    assert 0 in config.budget.amounts or (
        config.name.startswith(("ablation", "scaling", "generation", "spatia_")) and len(config.budget.amounts) == 1
    )


EXPERIMENTS = {"default", "ablation", "units", "paper", "factorial", "reconstruction", "scaling"}


def test_every_experiment_is_there_on_simulated_and_on_real_tissue():
    there = {(path.parent.name, path.stem) for path in SHIPPED}
    on_dlpfc = {"default", "ablation", "units", "paper", "reconstruction"}
    assert {(name, dataset) for name in EXPERIMENTS for dataset in ("simulated", "her2st")} <= there
    assert {(name, "dlpfc") for name in on_dlpfc} <= there


@each_shipped
def test_the_file_is_named_after_the_dataset(path):
    plugin = {"simulated": "simulated", "her2st": "her2st", "dlpfc": "h5ad_folder", "seqfish": "h5ad_folder"}
    assert read_config(path).dataset.name == plugin[path.stem]


def test_the_ablations_are_whole_grids_of_the_patch_unit():
    for dataset, n_methods in {"simulated": 3 * 2 * 4, "her2st": 3 * 3 * 6, "dlpfc": 2 * 2 * 6}.items():
        config = read_config(CONFIG / "ablation" / f"{dataset}.yaml")
        grid = [method.options for method in config.methods if method.method == "patch"]
        sizes, numbers, rules = ({options[key] for options in grid} for key in ("size", "n_channels", "channels"))
        assert len(grid) == len(sizes) * len(numbers) * len(rules) == n_methods
        assert all(options.keys() == {"preset", "size", "n_channels", "channels"} for options in grid)


def test_the_iso_flop_curves_have_four_budgets_and_the_same_sizes_of_the_trunk_for_every_unit():
    for dataset, n_sizes in {"simulated": 3, "her2st": 3, "dlpfc": 1}.items():
        config = read_config(CONFIG / "units" / f"{dataset}.yaml")
        presets = {
            unit: {method.options["preset"] for method in config.methods if method.method == unit}
            for unit in ("spot", "patch", "slide")
        }
        assert len(config.budget.amounts) >= 4
        assert len(set(map(frozenset, presets.values()))) == 1 and len(presets["slide"]) == n_sizes


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
    methods = ["spot", {"include": "sets/controls.yaml"}, "pca"]
    config = read(tmp_path, methods=methods, tasks=[{"include": "sets/tasks.yaml"}, "annotation"])
    assert [method.label for method in config.methods] == ["spot", "random", "smoothed", "noise", "pca"]
    assert config.methods[2] == Method(method="pca", label="smoothed", options={"neighbours": 8})
    assert [task.task for task in config.tasks] == ["domain", "clustering", "annotation"]
    assert config == read(
        tmp_path,
        methods=[
            "spot",
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


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_each_set_says_what_it_is_for_and_several_configs_include_it(path):
    assert path.read_text().startswith("# ")
    assert sum(f"{{include: ../sets/{path.name}}}" in config.read_text() for config in SHIPPED) >= 2


@pytest.mark.parametrize(
    ("lost", "meant"),
    [
        ("config/her2st.yaml", "config/default/her2st.yaml"),
        ("config/default.yaml", "config/default/simulated.yaml"),
        ("config/units.yaml", "config/units/simulated.yaml"),
        ("config/units", "config/units/simulated.yaml"),  # a folder
        ("config/units_dlpfc.yaml", "config/units/dlpfc.yaml"),
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
        ("name: mine\n", "key 'dataset' is missing"),
        ("name: \x00", "no valid YAML"),
    ],
)
def test_a_broken_file_gets_one_line(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UnitBenchError, match=rf"mine\.yaml: {message}"):
        read_config(tmp_path / "mine.yaml")


@each_shipped
def test_every_method_and_task_of_a_config_can_be_made(path):
    config = read_config(path)
    assert all(registry.make("methods", entry.method, entry.options).unit for entry in config.methods)
    assert all(registry.make("tasks", entry.task, entry.options).name == entry.task for entry in config.tasks)
