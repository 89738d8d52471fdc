"""Ask every method, before any of them is fitted, whether it can be fitted to the slides with its settings."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.core import registry
from benchmark.core.config import Config
from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.corpus import Corpus
from benchmark.experiment.arms import folds_of
from benchmark.tasks.mismatches import check_labels


def check_tasks(config: Config, corpus: Corpus) -> list[str]:
    """A line for each label that does not fit between slides. Raises UnitBenchError: a task can score nothing."""
    folds = folds_of(config, corpus).values()
    tasks = [registry.make("tasks", entry.task, entry.options) for entry in config.tasks]
    return list(dict.fromkeys(line for task in tasks for line in check_labels(task, corpus, folds)))


def check_methods(config: Config, corpus: Corpus, pairs: Iterable[tuple[str, str]]) -> int:
    """Call `check(corpus)` of every method that has it, on the training slides of its folds.

    Args:
        pairs: (label of a method, name of a fold).

    Returns:
        How many checks were made.

    Raises:
        UnitBenchError: the first refusal, with the label of the method.
    """
    by_name, n_checks = folds_of(config, corpus), 0
    for label, fold in pairs:
        entry = config.method(label)
        if check := offer(registry.make("methods", entry.method, entry.options), "check"):
            try:
                check(corpus.subset(by_name[fold].fit))
            except UnitBenchError as error:
                raise UnitBenchError(f"method {label!r}: {error.where}", error.cause, error.remedy) from error
            n_checks += 1
    return n_checks
