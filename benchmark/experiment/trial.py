"""A short trial of each method that learns, on two slides of the corpus: facts of this machine, kept beside the run.

The facts, by `what`: "FLOP/s" of training, "step FLOPs" and "step spots", "memory" of the process; "embed", seconds to
embed all spots; "vectors" and "weights", bytes that the embeddings of all spots and the weights take.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core import registry
from benchmark.core.apart import apart
from benchmark.core.code import code_of_plugin
from benchmark.core.config import Config, Method
from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, read_json, write_json
from benchmark.data.corpus import Corpus, open_corpus
from benchmark.data.shown import shown
from benchmark.experiment.arms import folds_of
from benchmark.experiment.earlier import earlier
from benchmark.experiment.facts import Fact, Facts
from benchmark.experiment.manifest import processor
from benchmark.training.machine import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmark.experiment.layout import Run
    from benchmark.training.budget import Meter

SECONDS = 3.0  # of training
PATIENCE = 300.0  # seconds, for the whole trial of a method
N_SLIDES = 2  # the largest of those that the first fold learns from
GROWS = ("embed", "vectors")  # with the number of spots


def this_machine(precision: str) -> str:
    """The name of the GPU, or else of the processor."""
    device = machine(precision)["device"]
    return device if device not in ("cpu", "mps") else processor()


def trials(run: Run, tell: Callable[[str], None]) -> list[Fact]:
    """The facts of the methods that learn. Each is tried once on a machine, and again if its code has changed.

    Args:
        tell: called with a line before each trial.
    """
    corpus, config = open_corpus(run.corpus), run.config
    kept: dict[str, Any] = read_json(run.trials, dict) if run.trials.exists() else {}
    here = this_machine(config.precision)
    for entry in learners(config):
        code = code_of_plugin("methods", entry.method, entry.options)
        key = fingerprint([here, machine(config.precision), corpus.digest, entry.canonical, code])
        if key not in kept:
            tell(f"trying {entry.label} for a few seconds")
            about = {"machine": here, "method": entry.method, "options": entry.canonical}
            kept[key] = about | _tried(config, corpus, entry)
            write_json(run.trials, kept)
    return kept_facts(run)


def learners(config: Config) -> list[Method]:
    """The entries of a config that learn by a budget and need no environment of their own; of equal ones, one."""
    found = {}
    for entry in config.methods:
        plugin = registry.find("methods", entry.method)
        if not plugin.environment and registry.make("methods", entry.method, entry.options).unit != "none":
            found[entry.canonical] = entry
    return list(found.values())


def kept_facts(run: Run) -> list[Fact]:
    """The facts of all trials that were made, on any machine."""
    kept = read_json(run.trials, dict) if run.trials.exists() else {}
    return [fact for entry in kept.values() for fact in _facts(entry)]


def measured(run: Run, tell: Callable[[str], None] | None = None) -> Facts:
    """All that was measured, as it bears on the run.

    Args:
        tell: called with a line before a method is tried; None: none is tried now.
    """
    found, n_spots = kept_facts(run), 0
    if run.record.exists():
        corpus = open_corpus(run.corpus)
        used = {
            slide for fold in folds_of(run.config, corpus).values() for slide in (*fold.learn, *fold.fit, *fold.test)
        }
        n_spots = corpus.subset(used).n_spots
        found = trials(run, tell) if tell else found
    here = this_machine(run.config.precision)
    return Facts([*earlier(run.results.parent), *found], here, run.dataset["name"], n_spots)


def _facts(entry: dict[str, Any]) -> list[Fact]:
    what = {"method": entry["method"], "options": entry["options"], "trained": True, "machine": entry["machine"]}
    return [
        Fact(name, value, "a trial", spots=entry["spots"] * (name in GROWS), rank=2, **what)
        for name, value in entry["figures"].items()
    ]


def _tried(config: Config, corpus: Corpus, entry: Method) -> dict[str, Any]:
    """The figures of one method, measured in a process of its own; none where it cannot be tried."""
    registry.find("methods", entry.method).load()
    import_module("benchmark.training.loop")  # so that the process need not import it
    try:
        return dict(apart("a trial", _try, config, corpus, entry, seconds=PATIENCE))
    except UnitBenchError as error:
        return {"spots": 0, "figures": {}, "reason": str(error)}


def trained_for(seconds: float, config: Config, corpus: Corpus, entry: Method) -> tuple[Any, Meter]:
    """The method after so long a training on the largest slides of the first fold, and what it has spent.

    Raises:
        UnitBenchError: it took no step.
    """
    from benchmark.training.budget import Budget

    fold = next(iter(folds_of(config, corpus).values()))
    entry = entry.at(fold.name)
    method = registry.make("methods", entry.method, entry.options)
    budget = Budget("device_seconds", seconds, config.precision)
    given = corpus.for_methods(_largest(corpus, fold.learn), offer(method, "panels"), offer(method, "labels"))
    why = ""
    try:
        method.fit(given, budget, config.seeds[0])
    except UnitBenchError as error:  # where one step takes long, it misses its budget by more than 2%
        why = f" ({error.cause})"
    if not budget.meter.steps:
        raise UnitBenchError(f"method {entry.label!r}", f"took no step in {seconds:g} s{why}")
    return method, budget.meter


def _largest(corpus: Corpus, names: Iterable[str]) -> list[str]:
    n_spots = {name: corpus.record["slides"][name]["n_spots"] for name in names}
    return sorted(n_spots, key=n_spots.__getitem__, reverse=True)[:N_SLIDES]


def _try(config: Config, corpus: Corpus, entry: Method) -> dict[str, Any]:
    method, meter = trained_for(SECONDS, config, corpus, entry)
    figures = {
        "FLOP/s": meter.flops / meter.device_seconds,
        "step FLOPs": meter.flops / meter.steps,
        "step spots": meter.spots / meter.steps,
        "memory": float(meter.peak_memory_bytes),
        "weights": 4.0 * (offer(method, "n_parameters") or 0),
    }
    learn = next(iter(folds_of(config, corpus).values())).learn
    genes = None if offer(method, "panels") else corpus.subset(learn).common
    slide = shown(corpus[_largest(corpus, learn)[-1]], genes=genes)
    if embed := offer(method, "embed"):
        import torch

        started = time.perf_counter()
        with torch.no_grad():
            vectors = np.asarray(embed(slide))
        figures |= {"embed": time.perf_counter() - started, "vectors": 4.0 * vectors.size}
    return {"spots": slide.n_obs, "figures": figures}
