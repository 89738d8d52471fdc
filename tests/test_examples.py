"""The example plugins and the code of the documentation: short, and once installed they keep their contract."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmark.core.declarations import declared
from benchmark.core.registry import Kind, plugins
from benchmark.stats.leaderboard import leaderboard
from benchmark.testing.classes import CHECKS
from benchmark.testing.run import tiny_run
from benchmark.testing.subject import Subject, run_checks
from benchmark.testing.tissue import tissue
from tests.helpers.paths import ROOT
from tests.helpers.plugins import EXAMPLES, install, install_example

KINDS: dict[str, tuple[Kind, str]] = {
    "control": ("methods", "library_size"),
    "trained": ("methods", "gene_bag"),
    "task": ("tasks", "hole_total"),
    "dataset": ("datasets", "csv_folder"),
    "rule": ("channels", "most_expressed"),
    "banksy": ("methods", "banksy"),
}
NEEDS = {"banksy": "banksy"}  # modules that no extra of this project installs


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    """All examples, built and installed in a folder that this process sees."""
    folder = tmp_path_factory.mktemp("site")
    for name in KINDS:
        install_example(folder, tmp_path_factory.mktemp(name), name)
    pairs = (ROOT / "docs/code/neighbour_pairs.py").read_text()
    install(folder, "neighbour_pairs", pairs, "neighbour_pairs = neighbour_pairs:NeighbourPairs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        declared.cache_clear()
        yield
    declared.cache_clear()


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Of the examples that cannot do without: the dataset reads the tissue of the kit, as CSV."""
    folder = tmp_path_factory.mktemp("csv")
    for slide in tissue():
        row, column = slide.obsm["lattice"].T
        slide.to_df().to_csv(folder / f"{slide.uns['slide']}.counts.csv")
        slide.obs.assign(row=row, column=column).to_csv(folder / f"{slide.uns['slide']}.spots.csv")
    return {"csv_folder": {"folder": str(folder)}}


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_example_is_under_sixty_lines(name):
    (module,) = (EXAMPLES / name).glob("*.py")
    assert len(module.read_text().splitlines()) < 60


@pytest.mark.parametrize("name", KINDS)
def test_an_installed_example_keeps_its_contract(name, options):
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    kind, plugin = KINDS[name]
    assert plugins(kind)[plugin].distribution == f"unitbench-{plugin.replace('_', '-')}"
    assert [
        outcome
        for outcome in run_checks(Subject(kind, plugin, options.get(plugin, {})), CHECKS[kind])
        if outcome.violated
    ] == []


def test_the_unit_of_the_documentation_keeps_its_contract():
    subject = Subject("methods", "neighbour_pairs")
    assert [outcome for outcome in run_checks(subject, CHECKS["methods"]) if outcome.violated] == []


def test_the_example_task_ranks_the_least_error_first():
    rows = tiny_run(tissue(), ["zero", "gene_mean"], ["hole_total"], [0.0])
    board = leaderboard(rows)
    assert board["value"].is_monotonic_increasing
    assert board["method"].tolist() == ["gene_mean", "zero"] and board["rank"].tolist() == [1, 2]
