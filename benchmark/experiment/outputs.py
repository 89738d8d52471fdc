"""What the tasks need of a fitted method: its embeddings of slides, and its predictions, saved in the arm's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core import registry
from benchmark.core.config import Config
from benchmark.core.contracts import Method, Task, offer
from benchmark.core.files import write_atomic
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.splits import Fold
from benchmark.tasks.served import FEATURES, served, unserved


def save_outputs(config: Config, method: Method, corpus: Corpus, fold: Fold, folder: Path) -> dict[str, str]:
    """Save the embeddings and predictions that the tasks of the config need.

    Returns:
        Why the method cannot do a task, by the name of the task.

    Raises:
        ValueError: an output has another shape than it should, or values that are not finite.
    """
    lacking: dict[str, str] = {}
    slides: dict[str, set[str]] = {function: set() for function in FEATURES}
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
        if offer(task, "predict"):
            _save(folder / f"{entry.task}.npz", _predictions(task, method, corpus, fold))
    for function, file in FEATURES.items():
        if slides[function]:
            _save(folder / file, _features(method, function, corpus.subset(sorted(slides[function]))))
    return lacking


def _predictions(task: Task, method: Method, corpus: Corpus, fold: Fold) -> dict[str, np.ndarray]:
    """What the task asks of the method on each test slide: arrays by "<slide>/<name>"."""
    predict, training = offer(task, "predict"), corpus.subset(fold.fit)
    with WORK:
        return {
            f"{slide}/{name}": array
            for slide in fold.test
            for name, array in predict(method, training, corpus[slide]).items()
        }


def _features(method: Method, function: str, corpus: Corpus) -> dict[str, np.ndarray]:
    """What `method.<function>` gives for the spots of each slide: float32 `[n_spots, d]` by slide."""
    features = {}
    for slide in corpus.names:
        with WORK:
            values = np.asarray(offer(method, function)(corpus[slide]), dtype=np.float32)
        if values.shape[:1] != (corpus[slide].n_obs,) or values.ndim != 2:
            raise ValueError(f"{function}({slide}) has shape {values.shape}, expected ({corpus[slide].n_obs}, d)")
        if not np.isfinite(values).all():
            raise ValueError(f"{function}({slide}) has values that are not finite")
        features[slide] = values
    return features


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    write_atomic(path, lambda temporary: np.savez(temporary, **arrays))
