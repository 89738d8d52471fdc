"""Fit arms, each once, and keep what became of them: a record, and the traceback of a failure."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmark.core import registry
from benchmark.core.config import Config
from benchmark.core.contracts import Method, offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError, write_text
from benchmark.core.reasons import reason_of
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.splits import Fold, check_disjoint
from benchmark.experiment.arms import Arm, arm_key, arms, folds_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.outputs import save_outputs
from benchmark.training.budget import Budget, Meter

Progress = Callable[[str, bool, float, str], None]  # arm, whether it has ended, share of its budget, a few words
KILLED = UnitBenchError("pretraining", "its process was killed", "give it more memory")


def run_arms(
    config: Config, corpus: Corpus, results: Path, label: str, fold: str, progress: Progress, attempt: int = 1
) -> list[dict]:
    """The records of all arms of one method in one fold; see `run_arm`."""
    entry = config.method(label)
    unit = registry.make("methods", entry.method, entry.options).unit
    return [run_arm(config, corpus, results, arm, progress, attempt) for arm in arms(config, label, unit, fold)]


def run_arm(config: Config, corpus: Corpus, results: Path, arm: Arm, progress: Progress, attempt: int = 1) -> dict:
    """Fit an arm, unless it is finished. A failure is a record too, with its reason.

    Args:
        attempt: how often the job was started. From the second time on, an arm that was begun and has no record has
            ended its process (it took too much memory, say). It then counts as failed, so that it stops no other arm.

    Returns:
        The record of the arm, as its `arm.json` has it.

    Raises:
        WriteError: a file cannot be written.
    """
    fold = folds_of(config, corpus)[arm.fold]
    folder, key = ArmFolder(results, arm.name), arm_key(config, corpus, fold, arm)
    record = folder.read(key)
    if record is None or (attempt == 1 and record["status"] != "ok"):
        killed = attempt > 1 and folder.has_begun(key)
        folder.begin(key)
        report = partial(progress, arm.name, False)
        record = _new_record(config, corpus, fold, arm, folder, report, killed) | {"key": key}
        folder.write(record)
    progress(arm.name, True, 1.0, record["status"])
    return record


def _new_record(
    config: Config,
    corpus: Corpus,
    fold: Fold,
    arm: Arm,
    folder: ArmFolder,
    report: Callable[[float, str], None],
    killed: bool,
) -> dict:
    """What the arm is, and what became of it. Any error of the method becomes the reason."""
    started = time.perf_counter()
    entry = config.method(arm.method)
    slides = corpus.record["slides"]
    donors = {name: slides[name]["donor"] for name in corpus.names}
    groups = {name: slides[name]["group"] for name in corpus.names}
    plugin, method = registry.find("methods", entry.method), registry.make("methods", entry.method, entry.options)
    record = asdict(arm) | {
        "unit": method.unit,
        "plugin": f"{plugin.distribution} {plugin.version}",
        "reference": offer(method, "reference"),
        "pretrained_on": list(offer(method, "pretrained_on")),
        "unitbench": version("unitbench"),
        "seen": check_disjoint(fold, donors, groups),
        "lacking": {},
        "spent": None,
        "parameters": None,
    }
    if killed:
        return record | {"status": "failed", "reason": str(KILLED), "seconds": 0.0}
    try:
        record |= _fit(config, method, corpus, fold, arm, folder, report)
    except WriteError:
        raise
    except Exception as error:
        write_text(folder.traceback, traceback.format_exc())
        reason = reason_of(error, folder.traceback.relative_to(folder.results))
        record |= {"status": "failed", "reason": str(reason)}
    return record | {"seconds": time.perf_counter() - started}


def _fit(
    config: Config,
    method: Method,
    corpus: Corpus,
    fold: Fold,
    arm: Arm,
    folder: ArmFolder,
    report: Callable[[float, str], None],
) -> dict:
    """Fit the method, and save its outputs and weights in `folder`."""
    if reason := offer(method, "not_applicable"):
        return {"status": "not applicable", "reason": reason}
    budget = Budget(config.budget.axis, arm.amount, config.precision, folder.checkpoint, report)
    with WORK:
        spent = method.fit(corpus.subset(fold.fit), budget, arm.seed)
    lacking = save_outputs(config, method, corpus, fold, folder.path)
    if isinstance(spent, Meter):
        if (save := offer(method, "save")) is None:
            raise UnitBenchError(f"method {arm.method!r}", "fit() returned a meter, and there is no save()", "add it")
        save(folder.weights)
    folder.checkpoint.unlink(missing_ok=True)
    return {
        "status": "ok",
        "reason": "",
        "lacking": lacking,
        "spent": spent.record() if spent else None,
        "parameters": offer(method, "n_parameters"),
    }
