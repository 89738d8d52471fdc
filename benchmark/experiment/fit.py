"""Fit arms, each once, in processes of their own: what one method does to its process reaches no other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

from benchmark.core import registry
from benchmark.core.apart import Ended, apart
from benchmark.core.config import Config
from benchmark.core.errors import UnitBenchError
from benchmark.core.timing import WORK
from benchmark.data.corpus import SLIDES_IN_MEMORY, Corpus
from benchmark.experiment.arms import Arm, arm_key, arms, folds_of
from benchmark.experiment.attempt import describe, fit_here, says
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.outputs import task_keys

Progress = Callable[[str, bool, float, str], None]  # arm, whether it has ended, share of its budget, a few words
KILLED = UnitBenchError("pretraining", "the process of its job was killed", "give it more memory")


def run_arms(
    config: Config,
    corpus: Corpus,
    results: Path,
    pairs: list[tuple[str, str]],
    progress: Progress,
    attempt: int = 1,
) -> list[dict]:
    """The records of all arms of these (method, fold) pairs; see `run_these`."""
    chosen = []
    for label, fold in pairs:
        entry = config.method(label).at(fold)
        chosen += arms(config, label, said_by(entry.method, entry.options)["unit"], fold)
    return run_these(config, corpus, results, chosen, progress, attempt)


def said_by(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a method says of itself, as `says` has it. One of another package is asked in a process of its own.

    Raises:
        UnitBenchError: it cannot be made.
    """

    def ask() -> dict[str, Any]:
        return says(registry.make("methods", name, options))

    return ask() if registry.find("methods", name).built_in else dict(apart(f"method {name!r}", ask))


def run_these(
    config: Config, corpus: Corpus, results: Path, arms: list[Arm], progress: Progress, attempt: int = 1
) -> list[dict]:
    """Fit these arms, unless they are finished. A failure is a record too, with its reason.

    Built-in methods leave nothing behind, so arms of theirs that follow one another share a process, and what it
    imports and computes once. Each arm of any other method has a process of its own, and each arm where the config sets
    limits.

    Args:
        attempt: how often the job was started. From the second time on, an arm that was begun and has no record has
            ended the process of the job. It then counts as failed, so that it stops no other arm.

    Returns:
        The record of each arm, as its `arm.json` has it.

    Raises:
        WriteError: a file cannot be written.
    """
    waiting = []
    for arm in arms:
        folder, key = _folder(config, corpus, results, arm)
        record = folder.read(key)
        if attempt > 1 and record is None and folder.has_begun(key):
            _give_up(config, corpus, results, arm, KILLED)
        elif not _is_finished(config, folder, record, attempt):
            waiting.append(arm)
            continue
        progress(arm.name, True, 1.0, (folder.read(key) or {})["status"])
    _fit(config, corpus, results, waiting, progress)
    found = (_folder(config, corpus, results, arm) for arm in arms)
    return [folder.read(key) or {} for folder, key in found]


def _folder(config: Config, corpus: Corpus, results: Path, arm: Arm) -> tuple[ArmFolder, str]:
    return ArmFolder(results, arm.name), arm_key(config, corpus, folds_of(config, corpus)[arm.fold], arm)


def _is_finished(config: Config, folder: ArmFolder, record: dict | None, attempt: int) -> bool:
    """Whether the arm has outputs for all tasks of the config, and all its files; or it has failed in this run."""
    if record is None:
        return False
    if record["status"] != "ok":
        return record["status"] == "not applicable" or attempt > 1
    return record["tasks"] == task_keys(config) and not folder.missing(record)


def _fit(config: Config, corpus: Corpus, results: Path, waiting: list[Arm], progress: Progress) -> None:
    """Fit arms in other processes. The first arm without a result has ended its process; those after it go on."""
    shared = {label: _prepared(config, label) for label in {arm.method for arm in waiting}}
    if "torch" in sys.modules and any(arm.amount for arm in waiting):
        import_module("torch._dynamo")  # an optimiser of PyTorch would import it, for seconds, in every process
    if waiting and len(corpus) <= SLIDES_IN_MEMORY:
        list(corpus)
    limits = limits_of(config)
    while waiting:
        ended: set[str] = set()

        def news(name: str, end: bool, fraction: float, words: str, ended: set[str] = ended) -> None:
            ended |= {name} if end else set()
            progress(name, end, fraction, words)

        batch = list(takewhile(lambda arm: shared[arm.method], waiting)) if not limits else []
        batch = batch or waiting[:1]
        try:
            WORK.seconds += apart("the arm", fit_here, config, corpus, results, batch, news=news, **limits)
        except Ended as end:
            guilty = next(arm for arm in batch if arm.name not in ended)
            _give_up(config, corpus, results, guilty, end)
            news(guilty.name, True, 1.0, "failed")
        waiting = [arm for arm in waiting if arm.name not in ended]


def _prepared(config: Config, label: str) -> bool:
    """Whether a method is built in. Import here what its arms need: what is imported here is so in every process."""
    plugin = registry.find("methods", config.method(label).method)
    if plugin.built_in:
        plugin.load()
    else:
        import_module("benchmark.training.watch")
    return plugin.built_in


def limits_of(config: Config) -> dict[str, float]:
    """The limits of an arm, as `apart` takes them."""
    hours, memory = config.limits.hours, config.limits.memory_gb
    return ({"seconds": hours * 3600} if hours else {}) | ({"memory": memory * 1e9} if memory else {})


def _give_up(config: Config, corpus: Corpus, results: Path, arm: Arm, reason: UnitBenchError) -> None:
    """Write the record of an arm that has ended its process."""
    folder, key = _folder(config, corpus, results, arm)
    entry = config.method(arm.method).at(arm.fold)
    said = said_by(entry.method, entry.options)
    record = describe(config, corpus, folds_of(config, corpus)[arm.fold], arm, said)
    folder.begin(key)
    folder.write(record | {"key": key, "status": "failed", "reason": str(reason)})
