"""Limits of an arm: one that takes more time or memory has failed, and the others go on."""

import pytest

from tests.helpers.arms import config, run
from tests.helpers.plugins import install

GREEDY = """
import os
import time
import numpy as np

class Greedy:
    unit = "none"

    def __init__(self, what: str = ""):
        self.what = what

    def fit(self, corpus, budget, seed):
        if self.what == "hangs" and seed == 0:
            time.sleep(600)
        if self.what == "eats" and seed == 0:
            self.much = np.ones(2**31)
        if self.what == "forks":
            for _ in range(3):
                os.fork() or time.sleep(600)
        if self.what == "prints":
            for _ in range(3000):
                print("x" * 1000)

    def embed(self, slide):
        return slide.obsm["position"]
"""


@pytest.fixture
def fit(tissue, tmp_path, monkeypatch):
    """`fit(what, **limits)`: the records of two seeds of the method that does this."""
    install(tmp_path / "site", "greed", GREEDY, "greedy = greed:Greedy")
    monkeypatch.syspath_prepend(tmp_path / "site")

    def records(what, **limits):
        methods = [{"method": "greedy", "options": {"what": what}}]
        return run(config(methods=methods, tasks=["domain"], seeds=[0, 1], limits=limits), tissue, tmp_path, "greedy")[
            0
        ]

    return records


def test_an_arm_that_hangs_ends_at_its_limit(fit):
    first, second = fit("hangs", hours=3 / 3600)
    assert first["reason"] == "the arm: did not end within 3 s; give it more time, or mend what hangs"
    assert (first["status"], second["status"]) == ("failed", "ok")


def test_an_arm_that_eats_memory_ends_at_its_limit(fit):
    first, second = fit("eats", memory_gb=1)
    assert "Unable to allocate 16.0 GiB" in first["reason"]
    assert (first["status"], second["status"]) == ("failed", "ok")


def test_an_arm_that_forks_ends(fit):
    assert [record["status"] for record in fit("forks")] == ["ok", "ok"]


def test_what_an_arm_prints_is_cut_off(fit, capsys):
    fit("prints")
    printed = capsys.readouterr().out
    assert "[more output is left out]" in printed and len(printed) < 3_000_000


def test_an_arm_that_ends_its_process_stays_what_it_is(tissue, tmp_path, monkeypatch):
    """Its row belongs to the same entrant as those of the arms that did not: it keeps unit and reference."""
    code = """
import os

class Ends:
    unit = "patch"
    reference = "for a test"

    def fit(self, corpus, budget, seed):
        os._exit(0)
"""
    install(tmp_path / "site", "ending", code, "ends = ending:Ends")
    monkeypatch.syspath_prepend(tmp_path / "site")
    records, _ = run(config(methods=["ends"], tasks=["domain"]), tissue, tmp_path, "ends")
    assert [(r["status"], r["unit"], r["reference"]) for r in records] == [("failed", "patch", "for a test")] * 2
