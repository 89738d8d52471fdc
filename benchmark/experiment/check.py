"""Ask every method, before any of them is fitted, whether it can be fitted to the slides with its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from benchmark.core import registry
from benchmark.core.apart import apart
from benchmark.core.config import Config
from benchmark.core.contracts import breaches, offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.corpus import Corpus
from benchmark.experiment.arms import folds_of
from benchmark.tasks.mismatches import check_labels


def check_tasks(config: Config, corpus: Corpus) -> list[str]:
    """A line for each label that does not fit between slides. Raises UnitBenchError: a task can score nothing."""
    folds = folds_of(config, corpus).values()
    tasks = [registry.make("tasks", entry.task, entry.options) for entry in config.tasks]
    lines = (
        line
        for part in corpus.evaluated.by_dataset().values()
        for task in tasks
        for line in check_labels(task, part, folds)
    )
    return list(dict.fromkeys(lines))


def check_methods(config: Config, corpus: Corpus, pairs: Iterable[tuple[str, str]]) -> int:
    """Hold every method to its contract, and call `check(corpus)` of those that have it, on the training slides of its
    folds. A method of another package is asked in a process of its own.

    Args:
        pairs: (label of a method, name of a fold).

    Returns:
        How many calls were made.

    Raises:
        UnitBenchError: the first breach or refusal, with the label of the method.
    """
    by_name, n_checks = folds_of(config, corpus), 0
    for label, fold in pairs:
        entry = config.method(label).at(fold)
        ask = partial(_ask, entry.method, entry.options, corpus, by_name[fold].learn)
        try:
            built_in = registry.find("methods", entry.method).built_in
            n_checks += ask() if built_in else apart("it was asked whether it can serve these slides", ask)
        except UnitBenchError as error:
            raise UnitBenchError(f"method {label!r}: {error.where}", error.cause, error.remedy) from error
    return n_checks


def _ask(name: str, options: Mapping[str, Any], corpus: Corpus, slides: tuple[str, ...]) -> bool:
    """Whether the method has `check`, and raised nothing. Raises UnitBenchError: it breaks its contract, or refuses."""
    method = registry.make("methods", name, options)
    for breach in breaches(method):
        raise UnitBenchError("contract", breach, f"mend it; all is told by: unitbench check-plugin {name}")
    if check := offer(method, "check"):
        check(corpus.for_methods(slides, offer(method, "panels"), offer(method, "labels")))
    return check is not None
