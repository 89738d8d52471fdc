"""Plugins that misbehave when they are loaded or made: a line about each, and everything else goes on."""

from __future__ import annotations

import faulthandler

import pytest
import yaml

from benchmark import cli
from benchmark.core import registry
from benchmark.core.errors import UnitBenchError
from benchmark.experiment import doctor, plugins
from tests.helpers.configs import LEAST
from tests.helpers.plugins import install

FINE = 'class Fine:\n    """Does what it should.\n\n    More.\n    """\n'
BARE = "class Bare:\n    pass\n"
# What a module does when it is imported, and the line about it.
HARM = {
    "leaves": ("import sys; sys.exit(0)", "leaves:It of leaves 1.0 fails to import (SystemExit: 0)"),
    "aborts": ("import os; os.abort()", "its process was ended by signal 6 (SIGABRT)"),
    "quits": ("import os; os._exit(0)", "its process ended with exit code 0, in the middle of its work"),
    "hangs": ("import time; time.sleep(1000)", "did not end within 3 s"),
    "raises": ("raise BaseException('no')", "raises:It of raises 1.0 fails to import (BaseException: no)"),
    "number": ("It = 5", "number:It is no class but int"),
    "lost": ("", "lost:It of lost 1.0 fails to import (AttributeError: module 'lost' has no attribute 'It')"),
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages; nothing else is listed, so that a test takes no time for it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "SECONDS", 3)
    faulthandler.disable()  # it would print where a plugin aborts
    found = registry.plugins
    others = lambda kind: {name: each for name, each in found(kind).items() if each.distribution != "unitbench"}  # noqa: E731
    monkeypatch.setattr(plugins, "plugins", others)
    return tmp_path


def faults() -> dict[str, str]:
    return {each.plugin.name: each.fault for each in plugins.listed()}


@pytest.mark.parametrize("name", HARM)
def test_whatever_a_plugin_does_when_it_is_loaded_is_a_line(site, name):
    code, line = HARM[name]
    install(site, name, code, f"{name} = {name}:It")
    install(site, "fine", FINE, "fine = fine:Fine")
    assert faults() == {name: line, "fine": ""}
    (check,) = [check for check in doctor.broken_plugins() if check.name.endswith(name)]
    assert (check.finding, check.remedy) == (line, f"repair or uninstall {name}")


def test_the_plugins_after_one_that_ends_its_process_are_listed(site):
    install(site, "mixed", FINE + BARE, "a = mixed:Fine\nb = mixed.bad:It\nc = mixed:Bare")
    (site / "mixed").mkdir()
    (site / "mixed/__init__.py").write_text(FINE + BARE)
    (site / "mixed/bad.py").write_text("import os; os.abort()")
    assert faults() == {"a": "", "b": "its process was ended by signal 6 (SIGABRT)", "c": ""}


def test_a_class_without_a_docstring_is_listed_with_an_empty_description(site):
    install(site, "bare", BARE, "bare = bare:Bare")
    install(site, "fine", FINE, "fine = fine:Fine")
    assert {each.plugin.name: each.about for each in plugins.listed()} == {"bare": "", "fine": "Does what it should."}


def test_what_a_plugin_prints_is_dropped(site, capfd):
    install(site, "loud", "for _ in range(100): print('x' * 10**6)\n" + FINE, "loud = loud:Fine")
    assert faults() == {"loud": ""}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("words", [["run"], ["status"], ["check"]])
def test_a_plugin_that_ends_the_program_ends_no_run_as_if_it_were_done(tmp_path, monkeypatch, capsys, words):
    install(tmp_path, "leaves", HARM["leaves"][0], "leaves = leaves:It", "unitbench.tasks")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(LEAST | {"tasks": ["leaves"]}))
    monkeypatch.setattr("sys.argv", ["unitbench", *words, "--config", "mine.yaml"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(0)", "method 'made': cannot be made with its options .SystemExit: 0.; .* repair made"),
        ("raise RuntimeError('a\\nb')", "cannot be made with its options .RuntimeError: a b."),
        ("raise ValueError('k is odd')", "method 'made': refuses its options .k is odd.; correct them"),
    ],
)
def test_whatever_a_plugin_does_when_it_is_made_is_a_line(tmp_path, monkeypatch, code, message):
    install(tmp_path, "made", f"class It:\n    def __init__(self):\n        {code}\n", "made = made:It")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnitBenchError, match=message):
        registry.make("methods", "made", {})


def test_ctrl_c_stays_ctrl_c(tmp_path, monkeypatch):
    install(tmp_path, "stopped", "raise KeyboardInterrupt", "stopped = stopped:It")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        registry.find("methods", "stopped").load()
