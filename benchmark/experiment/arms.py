"""Arms: which ones an experiment has, their names, and the keys that tell when a finished one can be used again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from benchmark.core import registry
from benchmark.core.code import code_of, code_of_plugin
from benchmark.core.config import Config, Role
from benchmark.core.environments import find_environment
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import fingerprint
from benchmark.data.corpus import Corpus
from benchmark.data.splits import Fold, donor_folds, everything
from benchmark.training.machine import machine

FITS = "benchmark.experiment.attempt"  # the module whose code every arm runs


@dataclass(frozen=True)
class Arm:
    """One method in one fold, with one budget and one seed."""

    method: str
    fold: str
    amount: float
    seed: int

    @property
    def name(self) -> str:
        """Also its folder below `arms/` of the results."""
        return f"{self.method}/{self.fold}/{self.amount:g}-seed{self.seed}"


def arm_of(record: Mapping) -> Arm:
    """The arm that a record (`arm.json`) is about."""
    return Arm(record["method"], record["fold"], record["amount"], record["seed"])


def folds(
    config: Config, groups: Mapping[str, str], roles: Mapping[str, Role] = MappingProxyType({})
) -> dict[str, Fold]:
    """The folds of pretraining by name: one for each set of held-out groups, and for splits within slides one, "all".

    Args:
        groups: the group of each slide.
        roles: what each slide is for; "both" where it is left out.

    Raises:
        UnitBenchError: `splits.without` names no group.
    """
    without = config.splits.without
    if unknown := set(without) - set(groups.values()):
        raise UnitBenchError(
            f"splits.without: {min(unknown)!r}", "no such group", nearest(min(unknown), groups.values())
        )
    groups = {slide: group for slide, group in groups.items() if group not in without}
    evaluated = {slide: group for slide, group in groups.items() if roles.get(slide, "both") != "pretrain"}
    by_name = {fold.name: fold for fold in donor_folds(evaluated, config.splits.donor_folds)}
    if any(config.splits.repeats.values()):
        by_name["all"] = everything(tuple(evaluated))
    if set(roles.values()) <= {"both"}:
        return by_name
    return {name: replace(fold, pretrain=tuple(_learned(fold, groups, roles))) for name, fold in by_name.items()}


def _learned(fold: Fold, slides: Iterable[str], roles: Mapping[str, Role]) -> Iterator[str]:
    """The slides that methods are pretrained on in a fold."""
    for slide in slides:
        role = roles.get(slide, "both")
        if role == "pretrain" or (role == "both" and slide in fold.fit):
            yield slide


def folds_of(config: Config, corpus: Corpus) -> dict[str, Fold]:
    """The folds of a prepared corpus."""
    entries = corpus.record["slides"]
    groups, roles = ({name: entries[name][what] for name in corpus.names} for what in ("group", "role"))
    return folds(config, groups, roles)


def arms(config: Config, method: str, unit: str, fold: str) -> Iterator[Arm]:
    """The arms of a method in a fold. A method that learns nothing in pretraining (unit "none") has one budget, 0."""
    for amount in (0.0,) if unit == "none" else config.budget.amounts:
        for seed in config.seeds:
            yield Arm(method, fold, amount, seed)


def arm_key(config: Config, corpus: Corpus, fold: Fold, arm: Arm) -> str:
    """Names all that the fit of an arm depends on, as 12 hex digits: settings, code, machine, slides.

    A fitted arm is used again while its key is the same. It does not depend on the tasks.
    """
    entry = config.method(arm.method).at(arm.fold)
    plugin = registry.find("methods", entry.method)
    here = machine(config.precision)
    if plugin.environment:
        here["torch"] = find_environment(plugin.environment).recipe
    code = [code_of(FITS), code_of_plugin("methods", entry.method, entry.options)]
    slides = [corpus.record["slides"][slide]["sha256"] for slide in corpus.names]
    settings = [entry.model_dump(), plugin.version, config.budget.axis, arm.amount, arm.seed, here]
    return fingerprint([*settings, *code, fold.learn, fold.fit, fold.test, *slides])
