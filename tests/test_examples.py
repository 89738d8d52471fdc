"""The example plugins: short, and as installed wheels they keep their contract."""

from __future__ import annotations

import pytest

from benchmark.core.declarations import declared
from benchmark.core.registry import Kind, plugins
from benchmark.stats.leaderboard import leaderboard
from benchmark.testing.classes import CHECKS
from benchmark.testing.run import tiny_run
from benchmark.testing.subject import Subject, run_checks
from benchmark.testing.tissue import tissue
from tests.helpers.plugins import EXAMPLES, install_example

KINDS: dict[str, tuple[Kind, str]] = {
    "control": ("methods", "library_size"),
    "trained": ("methods", "gene_bag"),
    "task": ("tasks", "hole_total"),
}


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    """All examples, built and installed in a folder that this process sees."""
    folder = tmp_path_factory.mktemp("site")
    for name in KINDS:
        install_example(folder, tmp_path_factory.mktemp(name), name)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        declared.cache_clear()
        yield
    declared.cache_clear()


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_example_is_under_sixty_lines(name):
    (module,) = (EXAMPLES / name).glob("*.py")
    assert len(module.read_text().splitlines()) < 60


@pytest.mark.parametrize("name", KINDS)
def test_an_installed_example_keeps_its_contract(name):
    kind, plugin = KINDS[name]
    assert plugins(kind)[plugin].distribution == f"unitbench-{plugin.replace('_', '-')}"
    assert [outcome for outcome in run_checks(Subject(kind, plugin), CHECKS[kind]) if outcome.violated] == []


def test_the_example_task_ranks_the_least_error_first():
    rows = tiny_run(tissue(), ["zero", "gene_mean"], ["hole_total"], [0.0])
    board = leaderboard(rows)
    assert board["value"].is_monotonic_increasing
    assert board["method"].tolist() == ["gene_mean", "zero"] and board["rank"].tolist() == [1, 2]
