"""A method that learns from the very slide that is scored: what scores it, and what its rows say."""

from __future__ import annotations

import pytest

from baselines.pca import PCA
from benchmark.core.contracts import breaches
from benchmark.report.tables import sections
from benchmark.stats.leaderboard import leaderboard
from benchmark.testing.run import tiny_run
from benchmark.testing.tissue import tissue


@pytest.fixture
def transductive(monkeypatch):
    """PCA, if it said so of itself."""
    for name, value in {"transductive": True, "reference": "transductive", "software": "package 1.2 (MIT)"}.items():
        monkeypatch.setattr(PCA, name, value, raising=False)


def test_it_is_scored_by_clusters_within_a_slide_and_no_probe_goes_from_slide_to_slide(transductive):
    rows = tiny_run(tissue(), ["pca", "random"], ["domain", "clustering"], [0.0])
    of_pca = rows[rows["method"] == "pca"]
    domain, clustering = (of_pca[of_pca["task"] == task] for task in ("domain", "clustering"))
    assert set(domain["status"]) == {"not applicable"}
    assert domain["reason"].str.startswith("transductive: it embeds each slide by itself").all()
    values = clustering[clustering["status"] == "ok"]
    assert set(values["metric"]) == {"ari", "nmi"} and values["transductive"].all()
    assert set(of_pca["note"].str.split("; ").str[0]) == {"package 1.2 (MIT)"}
    shown = {s["title"]: s["tables"][0] for s in sections(leaderboard(rows), rows)}
    (title,) = [title for title in shown if title.startswith("Clustering")]
    assert shown[title]["transductive"] == "pca (transductive)"  # of the two, it alone saw the slides


def test_the_same_method_without_the_word_is_scored_by_both_tasks():
    rows = tiny_run(tissue(), ["pca"], ["domain", "clustering"], [0.0])
    assert set(rows.loc[rows["status"] == "ok", "task"]) >= {"domain", "clustering"}
    assert not rows["transductive"].any() and set(rows["note"]) == {""}


def test_it_breaks_the_contract_unless_its_reference_says_so(transductive, monkeypatch):
    assert list(breaches(PCA())) == []
    monkeypatch.setattr(PCA, "reference", "")
    (line,) = breaches(PCA())
    assert "does not say that it is transductive" in line
