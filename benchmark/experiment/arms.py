"""Arms: the cells of the experiment, each fitted once, its embeddings and predictions kept for the tasks."""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core import registry
from benchmark.core.config import Config
from benchmark.core.contracts import offer
from benchmark.core.environments import find_environment
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError, fingerprint, read_json, write_atomic, write_json, write_text
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.splits import Fold, check_disjoint, donor_folds, everything
from benchmark.tasks.served import FEATURES, served, unserved
from benchmark.training.budget import Budget, Meter

Progress = Callable[[str, bool, float, str], None]  # arm, whether it is done, share of its budget, a word


@dataclass(frozen=True)
class Arm:
    """Method × budget × fold × seed; `folder` holds what it leaves."""

    method: str
    fold: str
    amount: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.method}/{self.fold}/{self.amount:g}-seed{self.seed}"


def folds(config: Config, groups: dict[str, str]) -> dict[str, Fold]:
    """The folds of pretraining: one a set of held-out groups and, for splits within slides, one of all slides."""
    found = {fold.name: fold for fold in donor_folds(groups, config.splits.donor_folds)}
    if any(config.splits.repeats.values()):
        found["all"] = everything(tuple(groups))
    return found


def arms(config: Config, method: str, unit: str, fold: str) -> Iterator[Arm]:
    """A method that learns nothing in pretraining (unit "none") has no budget to vary."""
    for amount in (0.0,) if unit == "none" else config.budget.amounts:
        for seed in config.seeds:
            yield Arm(method, fold, amount, seed)


def check_methods(config: Config, corpus: Corpus, pairs: Iterable[tuple[str, str]]) -> int:
    """Ask every method that has a `check(corpus)` whether it can be fitted to the slides of its folds.

    Args:
        pairs: (label of a method, name of a fold).

    Returns:
        How many checks there were.

    Raises:
        UnitBenchError: the first refusal, with the method's label.
    """
    found = folds(config, corpus.table["group"].to_dict())
    n_checks = 0
    for label, fold in pairs:
        entry = config.method(label)
        if check := offer(registry.make("methods", entry.method, entry.options), "check"):
            try:
                check(corpus.subset(found[fold].fit))
            except UnitBenchError as error:
                raise UnitBenchError(f"method {label!r}: {error.where}", error.cause, error.remedy) from error
            n_checks += 1
    return n_checks


def run_arms(
    config: Config, corpus: Corpus, results: Path, label: str, fold_name: str, progress: Progress, attempt: int = 1
) -> list[dict]:
    """Fit the arms of one method in one fold. A finished arm is not run again; a failed one is a record too.

    From the second `attempt` on, an arm that was begun and has no record ended its process (killed for lack of memory,
    say): it is not tried again, so that it stops no other arm.

    Returns:
        One record an arm, as written to its `arm.json`.
    """
    groups = corpus.table["group"].to_dict()
    fold = folds(config, groups)[fold_name]
    entry = config.method(label)
    plugin = registry.find("methods", entry.method)
    method = registry.make("methods", entry.method, entry.options)
    place = [find_environment(plugin.environment).recipe] if plugin.environment else []
    records = []
    for arm in arms(config, label, method.unit, fold_name):
        folder = results / "arms" / arm.name
        key = fingerprint(
            [entry.model_dump(), plugin.version, *place, config.budget.axis, arm.amount, arm.seed, config.precision]
            + [fold.fit, fold.test, [task.model_dump() for task in config.tasks]]
            + [corpus.record["slides"][slide]["sha256"] for slide in corpus.names]
        )
        record = _finished(folder / "arm.json", key, ("ok",) if attempt == 1 else ("ok", "failed"))
        if record is None:
            killed = _claim(folder, key) and attempt > 1
            record = _run(config, corpus, fold, arm, method.unit, folder, partial(progress, arm.name, False), killed)
            record |= {"key": key, "plugin": f"{plugin.distribution} {plugin.version}"}
            record |= {"reference": offer(method, "reference"), "pretrained_on": list(offer(method, "pretrained_on"))}
            write_json(folder / "arm.json", record)
        progress(arm.name, True, 1.0, record["status"])
        records.append(record)
    return records


def _finished(path: Path, key: str, statuses: tuple[str, ...]) -> dict | None:
    record = read_json(path) if path.exists() else None
    return record if record and record["key"] == key and record["status"] in statuses else None


def _claim(folder: Path, key: str) -> bool:
    """Empty the folder of what an arm with another key left there; a checkpoint under this key stays, to be resumed.

    Returns:
        Whether the arm under this key was begun before.
    """
    mark = folder / "key"
    begun = mark.exists() and mark.read_text(encoding="utf-8") == key
    if not begun:
        shutil.rmtree(folder, ignore_errors=True)
        write_text(mark, key)
    return begun


def _run(
    config: Config,
    corpus: Corpus,
    fold: Fold,
    arm: Arm,
    unit: str,
    folder: Path,
    told: Callable[[float, str], None],
    killed: bool,
) -> dict:
    """Fit, embed, predict; whatever goes wrong in the method becomes the record's reason."""
    record: dict[str, Any] = {
        "method": arm.method,
        "unit": unit,
        "fold": arm.fold,
        "amount": arm.amount,
        "seed": arm.seed,
        "lacking": {},
        "spent": None,
        "parameters": None,
    }
    started = time.perf_counter()
    seen = check_disjoint(fold, corpus.table["donor"].to_dict(), corpus.table["group"].to_dict())
    entry = config.method(arm.method)
    try:
        if killed:
            raise UnitBenchError("pretraining", "its process was killed", "give it more memory")
        method = registry.make("methods", entry.method, entry.options)
        if absent := offer(method, "not_applicable"):
            record |= {"status": "not applicable", "reason": absent}
        else:
            budget = Budget(config.budget.axis, arm.amount, config.precision, folder / "checkpoint.pt", told)
            with WORK:
                spent = method.fit(corpus.subset(fold.fit), budget, arm.seed)
            lacking = _outputs(config, method, corpus, fold, folder)
            if isinstance(spent, Meter):
                method.save(folder / "weights.safetensors")
            record |= {"status": "ok", "reason": "", "lacking": lacking, "spent": spent.record() if spent else None}
            record["parameters"] = offer(method, "n_parameters")
            (folder / "checkpoint.pt").unlink(missing_ok=True)
    except Exception as error:
        if isinstance(error, WriteError):
            raise
        if os.environ.get("UNITBENCH_DEBUG"):
            traceback.print_exc()
        reason = str(error) if isinstance(error, UnitBenchError) else f"{type(error).__name__}: {error}"
        record |= {"status": "failed", "reason": " ".join(reason.split())}
    return record | {
        "seen": seen,
        "seconds": time.perf_counter() - started,
        "unitbench": version("unitbench"),
    }


def _outputs(config: Config, method: Any, corpus: Corpus, fold: Fold, folder: Path) -> dict[str, str]:
    """Save what the tasks need of the method; for each task that it cannot do, why."""
    lacking, slides = {}, {function: set() for function in FEATURES}
    for entry in config.tasks:
        task = registry.make("tasks", entry.task, entry.options)
        if offer(method, task.requires) is None:
            lacking[entry.task] = f"the method has no {task.requires}()"
            continue
        if fold.name == "all" and set(task.splits) <= {"donor"}:
            continue
        if task.requires in FEATURES:
            if unserved(task, corpus, fold.fit, fold.test):
                continue
            slides[task.requires].update(served(task, corpus))
        if predict := offer(task, "predict"):
            with WORK:
                arrays = {
                    f"{slide}/{key}": array
                    for slide in fold.test
                    for key, array in predict(method, corpus.subset(fold.fit), corpus[slide]).items()
                }
            _save(folder / f"{entry.task}.npz", arrays)
    for function, path in FEATURES.items():
        if slides[function]:
            _save_features(method, function, corpus.subset(sorted(slides[function])), folder / path)
    return lacking


def _save_features(method: Any, function: str, corpus: Corpus, path: Path) -> None:
    """What the method's `function` says of the spots of each slide."""
    features = {}
    for slide in corpus.names:
        with WORK:
            values = np.asarray(offer(method, function)(corpus[slide]), dtype=np.float32)
        if values.shape[:1] != (corpus[slide].n_obs,) or values.ndim != 2:
            raise ValueError(f"{function}({slide}) has shape {values.shape}, expected ({corpus[slide].n_obs}, d)")
        if not np.isfinite(values).all():
            raise ValueError(f"{function}({slide}) has values that are not finite")
        features[slide] = values
    _save(path, features)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    write_atomic(path, lambda temporary: np.savez(temporary, **arrays))
