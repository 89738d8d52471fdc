"""Contests: the primary one is what the first task declares, and headings of key scores are unique."""

from dataclasses import replace

from benchmark.core.contracts import KeyScore
from benchmark.core.declarations import declared, in_order
from benchmark.core.registry import plugins
from benchmark.stats import contests
from benchmark.stats.contests import PRIMARY, competes, first_contest, key_caption, key_contests, leading
from benchmark.stats.leaderboard import leaderboard
from tests.helpers.rows import example_rows


def test_the_primary_contest_is_the_first_key_score_of_the_first_task():
    (first, *_) = in_order(plugins("tasks"))
    assert first == "domain" and first_contest(first) == PRIMARY
    assert next(iter(key_contests(plugins("tasks")).values())) == PRIMARY
    assert leading(leaderboard(example_rows())) == ("macro-F1", PRIMARY)


def test_every_installed_task_has_a_key_score_of_a_metric_that_it_declares():
    for task in plugins("tasks"):
        about = declared(task)
        assert about.key_scores and {key.metric for key in about.key_scores} <= set(about.metrics)
        assert competes(first_contest(task))


def test_two_tasks_that_share_a_heading_have_two_columns(monkeypatch):
    shared = KeyScore("macro-F1", "kmeans", "ari", words="macro-F1: not the one of domains")

    def declared_with_a_clash(task: str):
        about = declared(task)
        return replace(about, key_scores=(shared,)) if task == "clustering" else about

    monkeypatch.setattr(contests, "declared", declared_with_a_clash)
    headings = key_contests(["clustering", "domain"])
    assert headings["macro-F1"] == PRIMARY and headings["macro-F1 clustering"].metric == "ari"
    assert "not the one of domains" in key_caption(leaderboard(example_rows()))
