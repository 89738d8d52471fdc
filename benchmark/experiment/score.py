"""Scores of finished arms: from saved embeddings and predictions to score rows. Needs no model and no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core import registry
from benchmark.core.config import Config
from benchmark.core.contracts import Measured, Spots, Task, offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.scores import Score
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.splits import block_spots, random_spots
from benchmark.tasks.served import FEATURES, served, unserved

COSTS = {
    "flops": "flops",
    "device_seconds": "device_seconds",
    "spots": "spots_seen",
    "unique_spots": "unique_spots",
    "steps": "steps",
    "peak_memory_bytes": "peak_memory_bytes",
    "energy_joules": "energy_joules",
}
PRETRAINED_ON = "in the released model's pretraining"
NO_MAP = pd.DataFrame(columns=["slide", "donor", "y", "x", "label", "method", "budget", "prediction"])
NO_MAP = NO_MAP.astype({"y": "f4", "x": "f4", "budget": "f8"})  # as in any other, so that they can be joined


class Part(NamedTuple):
    """Some spots of a slide, by index `[n]`, and their labels `[n]`."""

    slide: str
    spots: np.ndarray
    label: np.ndarray


def score_arms(config: Config, corpus: Corpus, results: Path, records: list[dict]) -> tuple[list[Score], pd.DataFrame]:
    """All rows of some arms, and the predicted label of each test spot for the maps (first seed, donors held out)."""
    rows, maps = [], []
    for record in records:
        base = _base(config, record)
        rows += _costs(config, corpus, base, record)
        for entry in config.tasks:
            task = registry.make("tasks", entry.task, entry.options)
            splits = [split for split in task.splits if split in _asked(config, record["fold"])]
            reason = record["lacking"].get(entry.task) or record["reason"]
            if record["status"] == "failed":
                reason = f"the arm failed: {reason}"
            if task.requires in FEATURES:
                reason = reason or unserved(task, corpus, record["seen"]["fit"], record["seen"]["test"])
            if reason:
                status = "failed" if record["status"] == "failed" else "not applicable"
                rows += [_absent(base, split, task, status, reason) for split in splits]
                continue
            if not splits:
                continue
            folder = results / "arms" / _folder(record)
            if task.requires in FEATURES:
                embeddings = dict(np.load(folder / FEATURES[task.requires]))
                with WORK:
                    for split in splits:
                        rows += _score_embeddings(config, corpus, task, split, base, record, embeddings)
                    if "donor" in splits and offer(task, "predictions") and record["seed"] == config.seeds[0]:
                        maps.append(_map(corpus, task, record, embeddings))
            if offer(task, "predict"):
                arrays = dict(np.load(folder / f"{task.name}.npz"))
                with WORK:
                    rows += _score_predictions(corpus, task, splits[0], base, record, arrays)
    return rows, pd.concat([NO_MAP, *maps])


def _folder(record: dict) -> str:
    return f"{record['method']}/{record['fold']}/{record['amount']:g}-seed{record['seed']}"


def _asked(config: Config, fold: str) -> list[str]:
    """The splits that a fold serves, of those that the config asks for."""
    repeats = config.splits.repeats
    return [split for split in repeats if repeats[split]] if fold == "all" else ["donor"]


def _base(config: Config, record: dict) -> dict:
    return {
        "dataset": config.dataset.name if config.dataset.name != "h5ad_folder" else config.name,
        "method": record["method"],
        "options": config.method(record["method"]).canonical,
        "unit": record["unit"],
        "budget_axis": config.budget.axis,
        "budget": record["amount"],
        "seed": record["seed"],
        "fold": record["fold"],
        "transductive": record["seen"]["transductive"],
        "reference": record.get("reference", ""),  # arms of before methods could say it
    }


def _costs(config: Config, corpus: Corpus, base: dict, record: dict) -> Iterator[Score]:
    """What the arm cost, and whether it finished."""
    base = base | {"split": "none", "setting": "pretraining"}
    failed = {"status": record["status"], "reason": record["reason"]} if record["status"] != "ok" else {"value": 1.0}
    yield Score(**base, task="arm", metric="status", **failed)
    if record["status"] != "ok":
        return
    costs = {"arm_seconds": record["seconds"], "parameters": record["parameters"]}
    if spent := record["spent"]:
        costs |= {metric: spent[name] for name, metric in COSTS.items()}
        costs |= {f"{config.budget.axis}_target": spent["amount"]}
        costs |= {"epochs": spent["spots"] / corpus.subset(record["seen"]["fit"]).n_spots}
    for metric, value in costs.items():
        if value is not None:
            yield Score(**base, task="cost", metric=metric, value=value)
        elif metric == "energy_joules":
            yield Score(**base, task="cost", metric=metric, status="not applicable", reason="no energy counter here")


def _absent(base: dict, split: str, task: Task, status: str, reason: str) -> Score:
    """The task's first key score, without a value."""
    key = task.key_scores[0]
    where = {"split": split, "task": task.name, "setting": key.setting, "metric": key.metric}
    return Score(**base, **where, status=status, reason=reason)


def _score_embeddings(
    config: Config, corpus: Corpus, task: Task, split: str, base: dict, record: dict, embeddings: dict
) -> Iterator[Score]:
    for k in config.neighbours:
        smoothed = {s: neighbour_mean(e, corpus[s].obsm["position"], k) for s, e in embeddings.items()}
        here = base | {"split": split, "neighbours": k}
        try:
            sides = list(_sides(config, corpus, task, split, record, smoothed))
        except UnitBenchError as error:  # blocks that leave no training or no test spot on a slide
            yield _absent(base, split, task, "not applicable", str(error))
            return
        for fold, train, test in sides:
            for found in task.score(train, test, record["seed"]):
                yield _row(corpus, record, here | {"fold": fold}, task.name, found)


def _score_predictions(
    corpus: Corpus, task: Task, split: str, base: dict, record: dict, arrays: dict
) -> Iterator[Score]:
    predicted = {slide: {} for slide in record["seen"]["test"]}
    for key, array in arrays.items():
        slide, name = key.split("/", 1)
        predicted[slide][name] = array
    if together := offer(task, "score_predictions"):
        slides = [slide for slide in predicted if predicted[slide]]
        measured = together([corpus[slide] for slide in slides], [predicted[slide] for slide in slides])
    else:
        measured = (found for slide, its in predicted.items() for found in task.score(corpus[slide], its))
    for found in measured:
        yield _row(corpus, record, base | {"split": split}, task.name, found)


def _row(corpus: Corpus, record: dict, base: dict, task: str, found: Any) -> Score:
    pooled = found.slide == "pooled"
    donor = "pooled" if pooled else corpus.record["slides"][found.slide]["donor"]
    base = base | {"task": task, "setting": found.setting, "slide": found.slide, "donor": donor}
    slides = record["seen"]["test"] if pooled else [found.slide]
    if {base["dataset"], *slides} & set(record.get("pretrained_on", [])):
        base |= {"transductive": True, "note": PRETRAINED_ON}
    if isinstance(found, Measured):
        return Score(**base, metric=found.metric, value=found.value, n_train=found.n_train, n_test=found.n_test)
    return Score(**base, metric="any", status="not applicable", reason=found.reason)


def _labelled(corpus: Corpus, task: Task, names: Iterable[str]) -> list[Part]:
    """The labelled spots of the slides that the task can use; of a task without labels all spots, without label."""
    key, usable, parts = offer(task, "key"), served(task, corpus), []
    for slide in (name for name in names if name in usable):
        label = corpus[slide].obs[key] if key else pd.Series("", range(corpus[slide].n_obs))
        there = np.flatnonzero(label.notna())
        parts.append(Part(slide, there, label.to_numpy(dtype=object)[there].astype(str)))
    return parts


def _sides(
    config: Config, corpus: Corpus, task: Task, split: str, record: dict, embeddings: dict
) -> Iterator[tuple[str, Spots, Spots]]:
    """Training and test spots of each repeat of a split. Within slides all test spots are pooled, as the field does."""
    counted = corpus if offer(task, "key") is None else None
    if split == "donor":
        fit, test = (_labelled(corpus, task, record["seen"][side]) for side in ("fit", "test"))
        yield record["fold"], _spots(embeddings, fit, counted), _spots(embeddings, test, counted)
        return
    slides = _labelled(corpus, task, sorted(embeddings))
    for repeat in range(config.splits.repeats[split]):
        train, test = [], []
        for slide, there, label in slides:
            rng = np.random.default_rng([repeat, crc32(slide.encode())])
            for side, chosen in zip(
                (train, test), _divide(config, split, corpus[slide].obsm["position"][there], rng), strict=True
            ):
                side.append(Part(slide, there[chosen], label[chosen]))
        pooled = replace(
            _spots(embeddings, test, counted), slide=np.repeat("pooled", sum(len(part.spots) for part in test))
        )
        yield f"repeat{repeat}", _spots(embeddings, train, counted), pooled


def _divide(
    config: Config, split: str, position: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    options = config.splits
    if split == "random":
        return random_spots(len(position), options.random_test, rng)
    if split == "few_labels":
        return random_spots(len(position), 1 - options.few_labels, rng)
    return block_spots(position, options.block_cells, options.random_test, options.block_buffer, rng)


def _spots(embeddings: dict, parts: list[Part], counted: Corpus | None = None) -> Spots:
    """The spots of several slides, with their counts where a corpus to read them from is given."""
    return Spots(
        np.concatenate([embeddings[slide][spots] for slide, spots, _ in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([np.repeat(slide, len(spots)) for slide, spots, _ in parts]),
        sp.vstack([counted[slide].X[spots] for slide, spots, _ in parts], format="csr") if counted else None,
    )


def _map(corpus: Corpus, task: Task, record: dict, embeddings: dict) -> pd.DataFrame:
    """Position, label and prediction of every labelled test spot."""
    fit, parts = (_labelled(corpus, task, record["seen"][side]) for side in ("fit", "test"))
    test = _spots(embeddings, parts)
    position = np.concatenate([corpus[slide].obsm["position"][spots] for slide, spots, _ in parts])
    return pd.DataFrame(
        {
            "slide": test.slide,
            "donor": [corpus.record["slides"][slide]["donor"] for slide in test.slide],
            "y": position[:, 0],
            "x": position[:, 1],
            "label": test.label,
            "method": record["method"],
            "budget": record["amount"],
            "prediction": task.predictions(_spots(embeddings, fit), test),
        }
    )
