"""What entrants are compared by: contests, the key contests of the short tables, and which way each is better."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from benchmark.core.contracts import KeyScore, Metric
from benchmark.core.declarations import declared, in_order

CONTEST = ["dataset", "split", "task", "setting", "neighbours", "metric"]


class Contest(NamedTuple):
    """A score of a task under a split: what entrants are ranked by."""

    split: str
    task: str
    setting: str
    neighbours: int
    metric: str

    @property
    def measure(self) -> Metric:
        """The metric as the task declares it."""
        return declared(self.task).metric(self.metric)

    @property
    def lower_is_better(self) -> bool:
        """Whether the smaller value wins."""
        return self.measure.lower_is_better


PRIMARY = Contest("donor", "domain", "knn", 0, "macro_f1")


def select(table: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The rows of score rows or of a leaderboard that belong to one contest."""
    return table[(table[list(Contest._fields)] == contest).all(axis=1)]


def key_contest(task: str, key: KeyScore) -> Contest:
    """The contest that a task's key score names."""
    return Contest(key.split, task, key.setting, key.neighbours, key.metric)


def first_contest(task: str) -> Contest:
    """The contest of a task's first key score."""
    return key_contest(task, declared(task).key_scores[0])


def key_contests(tasks: Iterable[str]) -> dict[str, Contest]:
    """The key contests that these tasks declare, by their heading. Where two tasks share a heading, the name of the
    second task is added to its heading."""
    contests: dict[str, Contest] = {}
    for task in in_order(tasks):
        for key in declared(task).key_scores:
            heading = key.column if key.column not in contests else f"{key.column} {task}"
            contests[heading] = key_contest(task, key)
    return contests


def measured_key_contests(board: pd.DataFrame) -> dict[str, Contest]:
    """The key contests in which a leaderboard has entrants, by their heading."""
    contests = key_contests(board["task"].unique())
    return {heading: contest for heading, contest in contests.items() if len(select(board, contest))}


def leading(board: pd.DataFrame) -> tuple[str, Contest]:
    """The heading and contest that entrants are ordered by: the first that has any, else `PRIMARY`."""
    return next(iter(measured_key_contests(board).items()), ("macro-F1", PRIMARY))


def competes(contest: Contest) -> bool:
    """Whether units compete in it: the first key score of a task, in its setting and those that `also` matches."""
    first = declared(contest.task).key_scores[0]
    fits = contest.setting == first.setting or (first.also and re.fullmatch(first.also, contest.setting))
    return contest.split == first.split and contest.metric == first.metric and bool(fits)


def key_meanings(board: pd.DataFrame) -> str:
    """What the headings of the short table mean."""
    shown = set(measured_key_contests(board).values())
    meanings = [
        key.words
        for task in in_order(board["task"])
        for key in declared(task).key_scores
        if key.words and key_contest(task, key) in shown
    ]
    return "; ".join(["Whole donors held out", *meanings])


def key_caption(board: pd.DataFrame) -> str:
    """What the columns of the short table mean."""
    return f"{key_meanings(board)}. […]: 95% over donors (folds) and seeds."
