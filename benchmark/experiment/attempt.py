"""Fit arms in this process, one after another, and keep what became of each: a record, and files of results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmark.core import registry
from benchmark.core.code import code_of_plugin
from benchmark.core.config import Config
from benchmark.core.contracts import Method, offer
from benchmark.core.environments import checkout
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import WriteError
from benchmark.core.reasons import reason_of
from benchmark.core.registry import Plugin
from benchmark.core.state import changed, state
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.splits import Fold, check_disjoint
from benchmark.experiment.arms import Arm, arm_key, folds_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.outputs import Outputs
from benchmark.training.budget import Budget, Training
from benchmark.training.machine import machine


def fit_here(config: Config, corpus: Corpus, results: Path, arms: list[Arm], tell: Callable[..., None]) -> float:
    """Fit these arms, or add what is lacking to those that are fitted.

    Args:
        tell: called with the name of an arm, whether it has ended, the share of its budget, and a few words.

    Returns:
        The seconds of work, without imports.
    """
    before = WORK.seconds
    for arm in arms:
        record = attempt(config, corpus, results, arm, partial(tell, arm.name, False))
        tell(arm.name, True, 1.0, record["status"])
    return WORK.seconds - before


def attempt(
    config: Config, corpus: Corpus, results: Path, arm: Arm, report: Callable[[float, str], None]
) -> dict[str, Any]:
    """Fit an arm, or add to it, and write its record. Any error of the method becomes the reason of a failure.

    Raises:
        WriteError: a file cannot be written.
    """
    started = time.perf_counter()
    fold = folds_of(config, corpus)[arm.fold]
    folder, key = ArmFolder(results, arm.name), arm_key(config, corpus, fold, arm)
    old = folder.what_is_left(key)
    if not old:
        folder.begin(key)
    folder.traceback.unlink(missing_ok=True)
    entry = config.method(arm.method).at(arm.fold)
    plugin, method = registry.find("methods", entry.method), registry.make("methods", entry.method, entry.options)
    record = describe(config, corpus, fold, arm, says(method)) | {"key": key}
    if reason := offer(method, "not_applicable") or _tells_what_is_tested(method, fold):
        record |= {"status": "not applicable", "reason": reason}
    else:
        record |= _Attempt(config, corpus, fold, arm, folder, report, plugin, old).run()
    record["seconds"] = old.get("seconds", 0.0) + time.perf_counter() - started
    folder.write(record)
    return record


def _tells_what_is_tested(method: Method, fold: Fold) -> str:
    """Why a method that is shown labels has no arm in a fold; empty if it has."""
    inside = offer(method, "labels") and set(fold.learn) & set(fold.test)
    return "it is shown labels, and this split tests spots of slides that it would learn from" if inside else ""


def says(method: Method) -> dict[str, Any]:
    """What a method says of itself, as JSON values."""
    said = {name: offer(method, name) for name in ("reference", "transductive", "software")}
    return {"unit": method.unit, "pretrained_on": list(offer(method, "pretrained_on")), **said}


def describe(config: Config, corpus: Corpus, fold: Fold, arm: Arm, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the arm is, before anything is known of what became of it.

    Args:
        said: what its method says of itself.
    """
    slides = corpus.record["slides"]
    donors, groups = ({name: slides[name][what] for name in corpus.names} for what in ("donor", "group"))
    entry, git = config.method(arm.method).at(arm.fold), checkout()
    plugin = registry.find("methods", entry.method)
    return asdict(arm) | {
        **said,
        "plugin": f"{plugin.distribution} {plugin.version}",
        "code": code_of_plugin("methods", entry.method, entry.options),
        "unitbench": version("unitbench"),
        "commit": commit + (", with changes" if git.get("dirty") else "") if (commit := git.get("commit")) else "",
        **machine(config.precision),
        "seen": check_disjoint(fold, donors, groups),
        "fitted": False,
        "tasks": {},
        "embedded": {},
        "lacking": {},
        "broken": {},
        "inference": {},
        "learned": {},
        "curves": {},
        "spent": None,
        "parameters": None,
        "seconds": 0.0,
    }


class _Attempt:
    """One attempt at an arm."""

    def __init__(
        self,
        config: Config,
        corpus: Corpus,
        fold: Fold,
        arm: Arm,
        folder: ArmFolder,
        report: Callable[[float, str], None],
        plugin: Plugin,
        old: dict[str, Any],
    ):
        self.config, self.corpus, self.fold, self.arm, self.folder = config, corpus, fold, arm, folder
        self.report, self.plugin, self.old = report, plugin, old
        self._fitted: Method | None = None
        self._known: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """What became of it, as entries of the record."""
        before = state()
        try:
            if not self.old.get("fitted"):
                self._fit()
            else:
                self._known = {name: self.old[name] for name in ("spent", "parameters")} | {"fitted": True}
            outputs = Outputs(
                self.config,
                self.corpus.evaluated,
                self.fold,
                self.folder,
                self.old,
                self._new(),
                self._again,
                self.plugin.home,
            )
            self._known |= outputs.make()
            self._known["inference"] = outputs.inference or self.old.get("inference", {})
            self._known["learned"] = self.old.get("learned") or outputs.learned("learned")
            self._known["curves"] = self.old.get("curves") or outputs.learned("curve")
            if broken := self._known["broken"]:
                self._known |= {"status": "failed", "reason": next(iter(broken.values()))}
            else:
                self._known |= {"status": "ok", "reason": ""}
            self._check_state(before)
            self.folder.checkpoint.unlink(missing_ok=True)
        except WriteError:
            raise
        except Exception as error:
            reason = reason_of(error, self.folder.note(error), self.plugin.home)
            self._known |= {"status": "failed", "reason": str(reason), "fitted": False}
        return self._known

    def _given(self, method: Method) -> Corpus:
        """The slides that it learns from, as it is shown them."""
        return self.corpus.for_methods(self.fold.learn, offer(method, "panels"), offer(method, "labels"))

    def _new(self) -> Method:
        entry = self.config.method(self.arm.method).at(self.arm.fold)
        method: Method = registry.make("methods", entry.method, entry.options)
        return method

    def _fit(self) -> None:
        """Fit the method within its budget, and save its weights."""
        from benchmark.training.spending import watched_fit

        method = self._fitted = self._new()
        arm, corpus = self.arm, self._given(method)
        budget = Budget(
            self.config.budget.axis,
            arm.amount,
            self.config.precision,
            self.folder.checkpoint,
            self.report,
            Training(**self.config.training.model_dump()),
        )
        with WORK:
            watched_fit(method, corpus, budget, arm.seed, trusted=self.plugin.built_in)
        spent = budget.meter.record() if budget.meter.steps else None
        if spent:
            if (save := offer(method, "save")) is None:
                raise UnitBenchError(f"method {arm.method!r}", "it spent its budget, and there is no save()", "add it")
            save(self.folder.weights)
        self._known = {"fitted": True, "spent": spent, "parameters": offer(method, "n_parameters")}

    def _again(self) -> Method:
        """The fitted method. That of an earlier process is made again: from its weights where it offers `load`."""
        if self._fitted is None:
            load = offer(self._new(), "load") if self.folder.weights.exists() else None
            if self.old["spent"] and load is None:
                self._fit()
            else:
                method = self._fitted = self._new()
                budget = Budget(self.config.budget.axis, 0.0, self.config.precision)
                with WORK:
                    method.fit(self._given(method), budget, self.arm.seed)
                    if self.old["spent"]:
                        offer(method, "load")(self.folder.weights)
        assert self._fitted is not None
        return self._fitted

    def _check_state(self, before: dict[str, Any]) -> None:
        """Raises UnitBenchError: the method has changed settings that outlive it."""
        if names := changed(before):
            cause = f"it changed {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
            raise UnitBenchError(f"method {self.arm.method!r}", cause, "put it back at the end of each function")
