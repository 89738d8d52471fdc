"""The cheater's kit: methods that try to win by what they should not know, spend or change.

None of them gets a rank, and none changes the score of another method, to the last digit.
"""

from __future__ import annotations

import re

import pandas as pd
import pytest

from benchmark.core.scores import COLUMNS
from benchmark.experiment.score import score_arms
from benchmark.stats.leaderboard import leaderboard
from tests.helpers.arms import config, run
from tests.helpers.plugins import install

CHEATERS = '''
import os
import sys
import numpy as np


class Honest:
    """Total counts."""
    unit = "none"
    def fit(self, corpus, budget, seed): pass
    def embed(self, slide): return np.asarray(slide.X.sum(axis=1))

class Peek(Honest):
    """Reads the labels of the slide that it is to embed."""
    def embed(self, slide): return slide.obs["label"].cat.codes.to_numpy()[:, None]

class Truth(Honest):
    """Reads the truth of the simulation."""
    def embed(self, slide): return np.asarray(slide.uns["truth"]["domain"])[:, None]

class Thief(Honest):
    """Takes the slides of the held-out donors in fit."""
    def fit(self, corpus, budget, seed):
        everything = corpus.subset(["donor0_0", "donor1_0", "donor2_0"])
        self.labels = {slide.uns["slide"]: slide.obs["label"] for slide in everything}

class Reader(Honest):
    """Takes the labels of the training slides in fit."""
    def fit(self, corpus, budget, seed):
        self.labels = [slide.obs["label"] for slide in corpus]

class Counter(Honest):
    """Takes how many spots of each label there are from the record of the corpus."""
    def fit(self, corpus, budget, seed):
        self.labels = {name: slide["labels"] for name, slide in corpus.record["slides"].items()}

class Overspender(Honest):
    """Spends five times its budget, and says nothing."""
    unit = "patch"
    def fit(self, corpus, budget, seed):
        import torch
        a = torch.ones(100, 100)
        for _ in range(int(5 * budget.amount / 2e6)):
            a @ a

class Liar(Overspender):
    """Spends five times its budget, and says it was the budget."""
    def fit(self, corpus, budget, seed):
        super().fit(corpus, budget, seed)
        budget.meter.report(flops=budget.amount, spots=1, steps=int(budget.amount > 0))
    def save(self, path): path.touch()

class Trainer(Honest):
    """Trains, and calls itself a control."""
    def fit(self, corpus, budget, seed):
        import torch
        torch.ones(2, requires_grad=True).sum().backward()

class LateTrainer(Honest):
    """Trains when it is to embed."""
    def embed(self, slide):
        import torch
        torch.ones(2, requires_grad=True).sum().backward()
        return super().embed(slide)

class InPlace(Honest):
    """Removes the counts of the slide that others will be given."""
    def embed(self, slide):
        values = super().embed(slide)
        slide.X.data[:] = 0
        return values

class InPlaceLater(Honest):
    """The same with the training slides, in fit."""
    def fit(self, corpus, budget, seed):
        for slide in corpus:
            slide.obsm["position"] *= 0

class Failer(Honest):
    """Fails where the donor is held out that is hard."""
    def fit(self, corpus, budget, seed):
        if "donor2_0" not in corpus.names:
            raise ValueError("too hard")

class GlobalState(Honest):
    """Changes all that a process has: settings, random state, the functions of libraries."""
    def fit(self, corpus, budget, seed):
        import random
        import sklearn.metrics
        import torch
        random.seed(0); np.random.seed(0); torch.manual_seed(0)
        torch.set_default_dtype(torch.float64)
        np.seterr(all="ignore")
        os.umask(0o777)
        sklearn.metrics.f1_score = lambda *given, **named: 1.0
        np.log1p = np.zeros_like
        np.random.default_rng = lambda *seed: np.random.Generator(np.random.PCG64(0))

class LateCrash(Honest):
    """Ends its process at the last slide."""
    def embed(self, slide):
        if slide.uns["slide"] == "donor2_1":
            os._exit(0)
        return super().embed(slide)

class Leaver(Honest):
    """Leaves with success in fit."""
    def fit(self, corpus, budget, seed): sys.exit(0)

class Killer(Honest):
    """Kills its process."""
    def fit(self, corpus, budget, seed): os.kill(os.getpid(), 9)

class Empty(Honest):
    """No dimension at all."""
    def embed(self, slide): return np.zeros((slide.n_obs, 0))
'''
# What is said of each, where its arms fail.
REASONS = {
    "Peek": "KeyError at cheats.py: 'label'",
    "Truth": "KeyError at cheats.py: 'truth'",
    "Thief": "the corpus of a method: no slide 'donor0_0'; use the slides that it names",
    "Reader": "KeyError at cheats.py: 'label'",
    "Counter": "KeyError at cheats.py: 'labels'",
    "Overspender": "budget.meter: fit spent nothing of 1e+08 (flops)",
    "Liar": "budget.meter: PyTorch's counter saw 5e+08 of 1e+08 FLOPs; report all that fit spends",
    "Trainer": "unit 'none': it trains: gradients were taken in fit",
    "LateTrainer": "RuntimeError at cheats.py: element 0 of tensors does not require grad",
    "InPlace": "read-only; slides are shared, so change a copy: slide.copy()",
    "InPlaceLater": "read-only; slides are shared, so change a copy: slide.copy()",
    "Failer": "ValueError at cheats.py: too hard",
    "GlobalState": "method 'globalstate': it changed umask (18 → 511) and",
    "LateCrash": "the arm: its process ended with exit code 0, in the middle of its work",
    "Leaver": "the arm: its process ended with exit code 0, in the middle of its work",
    "Killer": "the arm: its process was ended by signal 9 (SIGKILL)",
    "Empty": "expected",
}
HONEST = ["random", "gene_mean", "honest"]
FOLDS = ["fold0", "fold1", "fold2"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cheats")
    entries = "\n".join(f"{name.lower()} = cheats:{name}" for name in ("Honest", *REASONS))
    install(folder, "cheats", CHEATERS, entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


@pytest.fixture(scope="module")
def together(tissue, site, tmp_path_factory):
    """Score rows of honest methods, fitted before and after all cheaters in one process."""
    cheaters = [name.lower() for name in REASONS]
    again = [{"method": name, "label": f"{name}.after"} for name in HONEST]
    return rows_of([*HONEST, *cheaters, *again], tissue, tmp_path_factory.mktemp("together"))


def rows_of(methods, tissue, results) -> pd.DataFrame:
    settings = config(
        methods=methods,
        splits={"donor_folds": 3, "random_repeats": 0},
        tasks=["domain", {"task": "reconstruction", "options": {"sizes": [2], "n_genes": 10}}],
    )
    records = [r for m in settings.methods for fold in FOLDS for r in run(settings, tissue, results, m.label, fold)[0]]
    rows, _ = score_arms(settings, tissue, results, records)
    return pd.DataFrame([row.model_dump() for row in rows], columns=COLUMNS)


@pytest.mark.parametrize("name", REASONS)
def test_a_cheater_gets_no_rank_and_one_line(name, together):
    board = leaderboard(together)
    mine = board[board["method"] == name.lower()]
    trained = mine[mine["budget"] > 0] if name in ("Overspender", "Liar") else mine
    assert len(trained) and trained["rank"].isna().all()
    rows = together[(together["method"] == name.lower()) & (together["status"] == "failed")]
    reasons = {re.sub(r"cheats.py:\d+", "cheats.py", reason) for reason in rows["reason"]}
    assert any(REASONS[name] in reason for reason in reasons), reasons
    assert all("\n" not in reason for reason in reasons)


def test_honest_methods_have_ranks(together):
    board = leaderboard(together)
    ranked = board[(board["method"].isin(["random", "honest"])) & (board["task"] == "domain")]
    assert len(ranked) and ranked["rank"].notna().all()


def test_no_cheater_changes_a_score_of_another_method(together, tissue, tmp_path):
    alone = rows_of(HONEST, tissue, tmp_path)
    key = [c for c in COLUMNS if c not in ("method", "options", "value")]
    alone = alone[alone["task"] != "cost"].set_index(["method", *key]).sort_index()["value"]
    for suffix in ("", ".after"):
        beside = together[together["method"].isin([name + suffix for name in HONEST]) & (together["task"] != "cost")]
        beside = (
            beside.assign(method=beside["method"].str.removesuffix(suffix)).set_index(["method", *key]).sort_index()
        )
        pd.testing.assert_series_equal(alone, beside["value"], check_exact=True)
