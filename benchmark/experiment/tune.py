"""Tune the methods that learn, on donors inside the training donors of each fold, and write what was found as a config.

For each fold an ordinary run tries the same settings of every method, on the slides that learn in that fold. The test
donors of the fold are left out of that run. Then a config gives each method the best setting of each fold.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmark.core import registry
from benchmark.core.config import Config, Method, Tuning
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_text
from benchmark.core.scores import read_table
from benchmark.experiment.arms import folds
from benchmark.experiment.layout import Run, open_run
from benchmark.experiment.workflow import run_workflow

SCORED = {"task": "domain", "metric": "macro_f1", "status": "ok"}  # the mean of these rows of k-NN and linear probes
PROBES = ("knn", "linear")


def tune(run: Run, out: Path, cores: str) -> int:
    """Run the trials that are not done, and write the config `out`.

    Returns:
        0; or the exit code of the first run of trials that did not end.

    Raises:
        UnitBenchError: the config has no `tuning`, no method learns, a method refuses a setting, or a trial failed.
    """
    config = run.config
    if config.tuning is None:
        raise UnitBenchError(run.path, "key 'tuning' is missing", "add it; see docs/config.md")
    tuned = [method for method in config.methods if _learns(method)]
    if not tuned:
        raise UnitBenchError(run.path, "no method learns within a budget", "name one under `methods`")
    trials = settings(config.tuning)
    best: dict[str, dict[str, dict[str, Any]]] = {}
    notes = []
    for fold, left_out in _test_groups(run).items():
        file = run.results / "tuning" / f"{fold}.yaml"
        values = inner(config, tuned, trials, fold, left_out)
        write_text(file, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
        trial_run = open_run(file, file.parent)
        if code := run_workflow(trial_run, cores, resume=True):
            return code
        rows = read_table(trial_run.results / "scores.parquet")
        chosen = winners(rows, [method.label for method in tuned], len(trials))
        notes += [f"{fold}: {label}: trial {k} of {len(trials)}, {value:.3f}" for label, (k, value) in chosen.items()]
        notes.append(f"{fold}: {spent(rows):.3g} FLOPs in {len(trials) * len(tuned)} trials")
        best[fold] = {label: dict(trials[k]) for label, (k, _) in chosen.items()}  # copies: YAML makes aliases of one
    write_text(out, written(config, best, notes))
    print(*notes, f"→ {out}", sep="\n")
    return 0


def _learns(method: Method) -> bool:
    unit: str = registry.make("methods", method.method, method.options).unit
    return unit != "none"


def _test_groups(run: Run) -> dict[str, list[str]]:
    """The groups that each fold with held-out donors tests."""
    groups = run.dataset["groups"]
    by_name = folds(run.config, groups, run.dataset.get("roles", {}))
    return {
        name: sorted({groups[slide] for slide in fold.test}) for name, fold in by_name.items() if not fold.transductive
    }


def settings(tuning: Tuning) -> list[dict[str, Any]]:
    """What is tried: first the settings that a method has, then others of the space, drawn without return by a seed."""
    space = dict(sorted(tuning.space.items()))
    grid = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    order = np.random.default_rng(0).permutation(len(grid))[: tuning.trials - 1]
    return [{}, *(grid[k] for k in order)]


def inner(
    config: Config, tuned: list[Method], trials: list[dict[str, Any]], fold: str, left_out: list[str]
) -> dict[str, Any]:
    """The config of the trials of one fold, as YAML has it: an entry a method and trial, without the test groups."""
    assert config.tuning is not None
    entries = [
        {"method": method.method, "label": f"{method.label}.trial-{k}", "options": method.options | trial}
        for method in tuned
        for k, trial in enumerate(trials)
    ]
    splits = config.tuning.splits.model_dump(mode="json")
    without = sorted({*config.splits.without, *left_out})
    same = {"dataset", "datasets", "precision", "training", "limits", "methods_per_job"}
    kept = config.model_dump(mode="json", include=same)
    return {
        "name": fold,
        **{key: value for key, value in kept.items() if value},
        "methods": entries,
        "tasks": [SCORED["task"]],
        "budget": {"axis": config.budget.axis, "amounts": [config.tuning.amount]},
        "splits": splits | {"without": without},
        "seeds": [config.seeds[0]],
        "neighbours": [0],
    }


def winners(rows: pd.DataFrame, labels: list[str], n_trials: int) -> dict[str, tuple[int, float]]:
    """The best trial of each method and its score: the mean macro-F1 over slides and probes. Of equals, the first.

    Raises:
        UnitBenchError: a trial has no score.
    """
    asked = rows["setting"].isin(PROBES) & (rows["slide"] != "pooled")
    for column, value in SCORED.items():
        asked &= rows[column] == value
    means = rows[asked].groupby("method")["value"].mean()
    found = {}
    for label in labels:
        names = [f"{label}.trial-{k}" for k in range(n_trials)]
        if missing := [name for name in names if name not in means]:
            raise UnitBenchError(f"tuning: {missing[0]}", "it has no score", "see the report of the trials")
        values = means[names].to_numpy()
        found[label] = (int(values.argmax()), float(values.max()))
    return found


def spent(rows: pd.DataFrame) -> float:
    """FLOPs of the training of all arms."""
    return float(rows.loc[rows["metric"] == "flops", "value"].sum())


def written(config: Config, best: Mapping[str, Mapping[str, dict[str, Any]]], notes: list[str]) -> str:
    """The config with the best setting of each method in each fold, as YAML; the notes as comments."""
    values = config.model_dump(mode="json", exclude={"tuning"}, exclude_defaults=True)
    values["name"] += "_tuned"
    for entry in values["methods"]:
        of_folds = {fold: found[entry["label"]] for fold, found in best.items() if found.get(entry["label"])}
        entry |= {"folds": of_folds} if of_folds else {}
    head = [
        "Written by `unitbench tune`: each method with the setting that was best inside the training donors.",
        *notes,
    ]
    return "".join(f"# {line}\n" for line in head) + "\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
