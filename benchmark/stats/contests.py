"""What entrants are compared by: contests, those that stand in the short tables, and which way each is better."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from benchmark.core.declarations import declared, in_order, lower_is_better

CONTEST = ["dataset", "split", "task", "setting", "neighbours", "metric"]


class Contest(NamedTuple):
    """A score of a task under a split: what entrants are ranked by."""

    split: str
    task: str
    setting: str
    neighbours: int
    metric: str

    @property
    def lower_is_better(self) -> bool:
        return lower_is_better(self.task, self.metric)


PRIMARY = Contest("donor", "domain", "knn", 0, "macro_f1")


def select(table: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The rows of score rows or of a leaderboard that belong to one contest."""
    return table[(table[list(Contest._fields)] == contest).all(axis=1)]


def key_contests(tasks: Iterable[str]) -> dict[str, Contest]:
    """The key scores that these tasks declare, by their column; where two tasks share a heading, the second one's has
    its task's name added."""
    found: dict[str, Contest] = {}
    for task in in_order(tasks):
        for key in declared(task).key_scores:
            column = key.column if key.column not in found else f"{key.column} {task}"
            found[column] = Contest(key.split, task, key.setting, key.neighbours, key.metric)
    return found


def first_contest(task: str) -> Contest:
    """The first key score of a task."""
    return next(iter(key_contests([task]).values()))


def held(board: pd.DataFrame) -> dict[str, Contest]:
    """The key contests in which a leaderboard has entrants."""
    contests = key_contests(board["task"].unique())
    return {name: contest for name, contest in contests.items() if len(select(board, contest))}


def leading(board: pd.DataFrame) -> tuple[str, Contest]:
    """The first key contest that was held, which entrants are ordered by; `PRIMARY` if none was."""
    return next(iter(held(board).items()), ("macro-F1", PRIMARY))


def competes(contest: Contest) -> bool:
    """Whether units compete in it: the first key score of a task, in every setting that the task names beside it."""
    first = declared(contest.task).key_scores[0]
    fits = contest.setting == first.setting or (first.also and re.fullmatch(first.also, contest.setting))
    return contest.split == first.split and contest.metric == first.metric and bool(fits)


def key_caption(board: pd.DataFrame) -> str:
    """What the columns of the short table are."""
    shown = held(board)
    told = [
        key.words
        for task in in_order(board["task"])
        for key in declared(task).key_scores
        if key.words and key.column in shown
    ]
    return f"{'; '.join(['Whole donors held out', *told])}. […]: 95% over donors and seeds."
