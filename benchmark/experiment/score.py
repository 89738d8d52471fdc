"""Scores of fitted arms: from saved embeddings and predictions to score rows. Needs no model and no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core import registry
from benchmark.core.config import Config
from benchmark.core.contracts import Split, Task, offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.reasons import reason_of
from benchmark.core.scores import Score, Status
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.neighbours import averaging
from benchmark.experiment.arms import arm_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.maps import NO_MAP, predicted_map
from benchmark.experiment.rows import ArmRows, arm_rows
from benchmark.experiment.sides import Embeddings, sides
from benchmark.tasks.served import FEATURES, unserved


def score_arms(config: Config, corpus: Corpus, results: Path, records: list[dict]) -> tuple[list[Score], pd.DataFrame]:
    """All rows of some arms, and the predicted label of each test spot for the maps (first seed, donors held out)."""
    rows: list[Score] = []
    maps: list[pd.DataFrame] = []
    for arm in arm_rows(config, corpus, records):
        record, folder = arm.record, ArmFolder(results, arm_of(arm.record).name)
        rows += arm.costs()
        for entry in config.tasks:
            task = registry.make("tasks", entry.task, entry.options)
            splits = [split for split in task.splits if split in _asked(config, record["fold"])]
            if not set(task.splits) & _all_asked(config):
                reason = f"the config asks for no split {' or '.join(task.splits)}"
                rows.append(arm.absent(task, task.splits[0], "not applicable", reason))
                continue
            status, reason = _no_score(task, arm.corpus, record)
            if not reason and splits:
                try:
                    task_rows, task_maps = _score_task(arm, task, splits, folder)
                    rows += task_rows
                    maps += task_maps
                except Exception as error:
                    status, reason = "failed", str(reason_of(error))
            if reason:
                rows += [arm.absent(task, split, status, reason) for split in splits]
    return rows, pd.concat([NO_MAP, *maps])


def _asked(config: Config, fold: str) -> list[str]:
    """The splits of the config that a fold serves."""
    repeats = config.splits.repeats
    return [split for split in repeats if repeats[split]] if fold == "all" else ["donor"]


def _all_asked(config: Config) -> set[str]:
    """The splits of the config that any fold serves."""
    return set(_asked(config, "all")) | ({"donor"} if config.splits.donor_folds != 0 else set())


def _no_score(task: Task, corpus: Corpus, record: Mapping) -> tuple[Status, str]:
    """Why the task has no score of this arm; the reason is empty where it has one."""
    if reason := record["lacking"].get(task.name):
        return "not applicable", reason
    if reason := record["broken"].get(task.name):
        return "failed", reason
    if record["status"] == "failed" and not record["fitted"]:
        return "failed", f"the arm failed: {record['reason']}"
    reason = record["reason"] if record["status"] == "not applicable" else ""
    if not reason and task.requires in FEATURES:
        reason = unserved(task, corpus, record["seen"]["fit"], record["seen"]["test"])
    return "not applicable", reason


def _score_task(
    arm: ArmRows, task: Task, splits: list[Split], folder: ArmFolder
) -> tuple[list[Score], list[pd.DataFrame]]:
    """Rows and maps of one task, from what the arm has saved in `folder`."""
    rows: list[Score] = []
    maps: list[pd.DataFrame] = []
    if task.requires in FEATURES:
        embeddings = folder.load(FEATURES[task.requires], arm.record)
        with WORK:
            for split in splits:
                rows += _score_embeddings(arm, task, split, embeddings)
            if "donor" in splits and offer(task, "predictions") and arm.record["seed"] == arm.config.seeds[0]:
                maps.append(predicted_map(arm.corpus, task, arm.record, embeddings))
    if offer(task, "predict"):
        arrays = folder.load(f"{task.name}.npz", arm.record)
        with WORK:
            rows += _score_predictions(arm, task, splits[0], arrays)
    return rows, maps


def _score_embeddings(arm: ArmRows, task: Task, split: Split, embeddings: Embeddings) -> Iterator[Score]:
    """The rows of a split, for each number of neighbours that the embeddings are averaged over."""
    config, corpus = arm.config, arm.corpus
    for k in config.neighbours:
        smoothed = {slide: _averaging(corpus, slide, k) @ e if k else e for slide, e in embeddings.items()}
        try:
            repeats = list(sides(config.splits, corpus, task, split, arm.record, smoothed))
        except UnitBenchError as error:  # the blocks leave no training spot or no test spot on a slide
            yield arm.absent(task, split, "not applicable", str(error))
            return
        for fold, train, test in repeats:
            for result in task.score(train, test, arm.record["seed"]):
                yield arm.measured(task, split, result, fold=fold, neighbours=k)


@lru_cache(maxsize=32)
def _averaging(corpus: Corpus, slide: str, k: int) -> sp.csr_array:
    """See `averaging`. All arms share it."""
    return averaging(corpus[slide].obsm["position"], k)


def _score_predictions(arm: ArmRows, task: Task, split: Split, arrays: Mapping[str, np.ndarray]) -> Iterator[Score]:
    """The rows of the predicted arrays, which are named "<slide>/<name>"."""
    predicted: dict[str, dict[str, np.ndarray]] = {slide: {} for slide in arm.record["seen"]["test"]}
    for key, array in arrays.items():
        slide, name = key.split("/", 1)
        predicted[slide][name] = array
    if score_together := offer(task, "score_predictions"):
        slides = [slide for slide in predicted if predicted[slide]]
        results = score_together([arm.corpus[slide] for slide in slides], [predicted[slide] for slide in slides])
    else:
        results = (result for slide in predicted for result in task.score(arm.corpus[slide], predicted[slide]))
    for result in results:
        yield arm.measured(task, split, result)
