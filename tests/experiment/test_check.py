"""What is found in `check`, before anything is trained: methods that break their contract, each in one line."""

import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.experiment.check import check_methods
from tests.helpers.arms import config
from tests.helpers.plugins import install

METHODS = '''
import os

class Fine:
    """Keeps the contract."""
    unit = "none"
    def fit(self, corpus, budget, seed): pass
    def embed(self, slide): return slide.obsm["position"]

class WrongUnit(Fine):
    unit = "cell"

class NoUnit:
    def fit(self, corpus, budget, seed): pass

class OldApi(Fine):
    api_version = 0

class FewArguments(Fine):
    def embed(self): pass

class Broken(Fine):
    def __init__(self): self.size = [][0]

class Picky(Fine):
    def check(self, corpus): raise ValueError("too small")

class Aborts(Fine):
    def check(self, corpus): os._exit(0)

class Looks(Fine):
    def check(self, corpus): corpus.record["slides"][corpus.names[0]]["labels"]
'''
LINES = {
    "WrongUnit": "contract: unit is 'cell', one of 'spot', 'patch', 'slide', 'none' is asked; mend it",
    "NoUnit": "contract: no attribute `unit`: one of 'spot'",
    "OldApi": "plugin 'oldapi': made for API version 0, this is 1; update rogue",
    "FewArguments": r"contract: embed(slide) is asked, and it cannot be called so",
    "Broken": "IndexError: list index out of range",
    "Picky": "ValueError: too small",
    "Aborts": "its process ended with exit code 0, in the middle of its work",
    "Looks": "KeyError: 'labels'",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    install(tmp_path, "rogue", METHODS, "\n".join(f"{name.lower()} = rogue:{name}" for name in ("Fine", *LINES)))
    monkeypatch.syspath_prepend(tmp_path)


def test_a_method_that_keeps_its_contract_passes(site, tissue):
    assert check_methods(config(methods=["fine"]), tissue, [("fine", "fold0")]) == 0


@pytest.mark.parametrize("name", LINES)
def test_a_breach_is_one_line_that_names_the_method(name, site, tissue):
    with pytest.raises(UnitBenchError) as raised:
        check_methods(config(methods=[name.lower()]), tissue, [(name.lower(), "fold0")])
    line = str(raised.value)
    assert line.startswith(f"method '{name.lower()}': ") and LINES[name] in line and "\n" not in line
