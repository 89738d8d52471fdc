"""The configs of the project: whole, named after their folder and file, with controls and enough seeds."""

from __future__ import annotations

from typing import get_args

import pytest

from benchmark.core import registry
from benchmark.core.config import read_config
from benchmark.data.components import Genes
from methods.context.objectives import Objective
from tests.helpers.paths import CONFIG

SHIPPED = sorted(path for path in CONFIG.glob("*/*.yaml") if path.parent.name not in ("datasets", "sets"))
SETS = sorted(CONFIG.glob("sets/*.yaml"))
each_shipped = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")


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
    # The default run on simulated tissue has many donors in place of many seeds, an ablation a dozen settings that
    # share each level; two seeds of the objectives on dlpfc are a look at whether those of the simulated tissue hold;
    # `leakage` trains nothing.
    fewer = config.name in ("default", "objectives_dlpfc") or config.name.startswith(("ablation", "leakage"))
    assert (len(config.seeds) >= 3 or fewer) and 0 in config.neighbours
    if tasks & {"domain", "clustering"}:
        assert {"random", "coordinates", "noise", "pca"} <= methods
    if "reconstruction" in tasks:
        assert {"gene_mean", "neighbour_mean", "inverse_distance"} <= methods
    # What compares settings of one method does so at one budget; all else has its untrained control.
    of_one_method = config.name.startswith(("ablation", "objectives", "scaling", "generation", "spatia_"))
    assert 0 in config.budget.amounts or (of_one_method and len(config.budget.amounts) == 1)


EXPERIMENTS = {"default", "ablation", "context", "paper", "factorial", "reconstruction", "scaling"}


def test_every_experiment_is_there_on_simulated_and_on_real_tissue():
    there = {(path.parent.name, path.stem) for path in SHIPPED}
    on_dlpfc = {"default", "ablation", "context", "paper", "reconstruction"}
    assert {(name, dataset) for name in EXPERIMENTS for dataset in ("simulated", "her2st")} <= there
    assert {(name, "dlpfc") for name in on_dlpfc} <= there


@each_shipped
def test_the_file_is_named_after_the_dataset(path):
    plugin = {"simulated": "simulated", "her2st": "her2st", "dlpfc": "h5ad_folder", "seqfish": "h5ad_folder"}
    config = read_config(path)
    if config.datasets:
        assert "_".join(config.datasets) == path.stem
    else:
        assert config.dataset.name == plugin[path.stem]


def test_the_ablations_are_whole_grids_of_size_genes_and_rule():
    for dataset in ("simulated", "her2st", "dlpfc"):
        config = read_config(CONFIG / "ablation" / f"{dataset}.yaml")
        grid = [method.options for method in config.methods if method.method == "context"]
        sides, numbers, rules = ({options[key] for options in grid} for key in ("side", "n_genes", "genes"))
        assert len(grid) == len(sides) * len(numbers) * len(rules) == 3 * 3 * 4 and rules == set(get_args(Genes))
        assert all(options.keys() == {"side", "n_genes", "genes"} for options in grid)


def test_the_objectives_are_all_of_them_for_each_side():
    for dataset in ("simulated", "dlpfc"):
        config = read_config(CONFIG / "objectives" / f"{dataset}.yaml")
        grid = [method.options for method in config.methods if method.method == "context"]
        whole = [
            {"side": side, "objective": objective} for side in (1, 8, "slide") for objective in get_args(Objective)
        ]
        assert grid == whole


def test_the_dial_has_the_same_sides_on_every_dataset_and_nothing_else_that_differs():
    for dataset in ("simulated", "her2st", "dlpfc", "seqfish"):
        config = read_config(CONFIG / "context" / f"{dataset}.yaml")
        options = [method.options for method in config.methods if method.method == "context"]
        assert options == [{"side": side} for side in (1, 4, 8, 16, "slide")]
        assert 0 in config.budget.amounts and len(config.budget.amounts) >= 2


def test_the_default_run_holds_out_enough_donors_for_a_test_to_be_clear():
    """2 / 2**10 by Holm over the 16 tests of its page is 0.03; of eight donors, 0.12."""
    config = read_config(CONFIG / "default" / "simulated.yaml")
    assert config.dataset.options["n_donors"] >= 10 and config.splits.donor_folds is None


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_each_set_says_what_it_is_for_and_several_configs_include_it(path):
    assert path.read_text().startswith("# ")
    assert sum(f"{{include: ../sets/{path.name}}}" in config.read_text() for config in SHIPPED) >= 2


@each_shipped
def test_every_method_and_task_of_a_config_can_be_made(path):
    config = read_config(path)
    assert all(registry.make("methods", entry.method, entry.options).unit for entry in config.methods)
    assert all(registry.make("tasks", entry.task, entry.options).name == entry.task for entry in config.tasks)
