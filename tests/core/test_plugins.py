"""Plugins: the built-in ones, third-party ones, broken ones, and names that two claim."""

from __future__ import annotations

import sys

import pytest

from benchmark import cli
from benchmark.core import registry
from benchmark.core.errors import UnitBenchError
from tests.helpers.plugins import install


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages that this process sees."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_built_in_ones_come_by_entry_point():
    for kind, names in {
        "methods": {"pca", "coordinates", "random", "noise", "spot_genes", "patch", "context"},
        "datasets": {
            "simulated",
            "her2st",
            "h5ad_folder",
            "cosmx",
            "merscope",
            "xenium",
            "visium",
            "visium_hd",
            "spatialdata",
        },
        "tasks": {"domain", "clustering", "reconstruction"},
    }.items():
        plugins = registry.plugins(kind)
        assert names <= set(plugins) and all(plugins[name].distribution == "unitbench" for name in names)


@pytest.mark.parametrize("kind", ["methods", "datasets", "tasks"])
def test_every_built_in_plugin_loads_and_says_what_it_is(kind):
    for plugin in registry.plugins(kind).values():
        assert plugin.load().__doc__.strip()


def test_finding_plugins_imports_none(site):
    install(site, "loud", "raise RuntimeError", "loud = loud:Loud")
    assert registry.find("methods", "loud").distribution == "loud"
    assert "loud" not in sys.modules


def test_a_broken_plugin_is_marked_and_the_others_are_listed(site, monkeypatch, capsys):
    install(site, "broken", "import a_library_that_nobody_has", "wreck = broken:Wreck")
    install(site, "empty", "", "lost = empty:NotThere")
    install(site, "fine", 'class Fine:\n    """Does what it should."""', "fine = fine:Fine")
    monkeypatch.setattr(sys, "argv", ["unitbench", "list"])
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    rows = {row.split("│")[2].strip(): row for row in capsys.readouterr().out.splitlines() if row.count("│") > 3}
    assert "broken: " in rows["wreck"] and "No module named 'a_library_that_nobody_has'" in rows["wreck"]
    assert "broken 1.0 fails to import" in rows["wreck"]
    assert "broken: " in rows["lost"] and "NotThere" in rows["lost"]
    assert "Does what it should." in rows["fine"] and "fine 1.0" in rows["fine"]
    assert "pca" in rows and "her2st" in rows and "domain" in rows


def test_a_broken_plugin_names_its_package_and_the_cause(site):
    install(site, "wrecked", "1 / 0", "wrecked = wrecked:Wreck")
    with pytest.raises(UnitBenchError, match=r"plugin 'wrecked': .*ZeroDivisionError.*; repair or uninstall wrecked"):
        registry.make("methods", "wrecked", {})


def test_two_packages_with_one_name_are_refused(site):
    install(site, "usurper", "", "pca = usurper:PCA")
    with pytest.raises(UnitBenchError, match=r"method 'pca': named by .*(usurper|unitbench).*; uninstall one of them"):
        registry.find("methods", "pca")


def test_a_plugin_for_another_version_of_the_contract_is_refused(site):
    install(site, "future", "class Future:\n    api_version = 99", "future = future:Future")
    with pytest.raises(UnitBenchError, match="made for API version 99, this is 1; update future"):
        registry.find("methods", "future").load()


@pytest.mark.parametrize(
    ("name", "remedy"), [("pach", r"did you mean 'patch'\?"), ("xyzzy", "known: .*coordinates, .*patch, .*spot_genes")]
)
def test_an_unknown_method_names_the_nearest_or_all(name, remedy):
    with pytest.raises(UnitBenchError, match=f"method '{name}': not installed; {remedy}"):
        registry.find("methods", name)
