"""What tasks declare, by the name that score rows have: titles, directions, key scores. Tables are made by it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from benchmark.core import registry
from benchmark.core.contracts import KeyScore, Metric, offer


@dataclass(frozen=True)
class Declaration:
    """A task as its class declares it. `metrics` by name, in the order of its tables."""

    name: str
    title: str
    order: int
    metrics: dict[str, Metric]
    key_scores: tuple[KeyScore, ...]
    settings: dict[str, str]

    def metric(self, name: str) -> Metric:
        """One that was not declared (a number that a method says of itself) is its own title."""
        return self.metrics.get(name, Metric(name))

    def setting_title(self, setting: str) -> str:
        """The title that the task gives it, by name or by a regular expression; else the setting itself."""
        for pattern, title in self.settings.items():
            if setting == pattern:
                return title
            if match := re.fullmatch(pattern, setting):
                return match.expand(title)
        return setting


@cache
def declared(task: str) -> Declaration:
    """Raises UnitBenchError: no such task is installed, or it fails to import."""
    made = registry.find("tasks", task).load()
    return Declaration(
        task,
        offer(made, "title") or task.replace("_", " "),
        offer(made, "order"),
        {metric.name: metric for metric in made.metrics},
        tuple(made.key_scores),
        dict(offer(made, "settings")),
    )


def in_order(tasks: Iterable[str]) -> list[str]:
    """The distinct tasks, in the order in which tables show them."""
    return sorted(set(tasks), key=lambda task: (declared(task).order, task))
