"""The score rows of one arm: what it cost, what a task measured, and why there is no value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmark.core.config import Config, Splits
from benchmark.core.contracts import Measured, NotApplicable, Split, Task, offer
from benchmark.core.curves import ARM
from benchmark.core.declarations import declared
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import fingerprint
from benchmark.core.scores import Score, Status
from benchmark.data.corpus import Corpus

COSTS = {
    "flops": "flops",
    "device_seconds": "device_seconds",
    "spots": "spots_seen",
    "unique_spots": "unique_spots",
    "steps": "steps",
    "peak_memory_bytes": "peak_memory_bytes",
    "energy_joules": "energy_joules",
}
# The settings that a split depends on.
DRAWN_BY = {
    "donor": ("donor_folds",),
    "random": ("random_repeats", "random_test"),
    "few_labels": ("few_labels_repeats", "few_labels"),
    "block": ("block_repeats", "block_cells", "block_buffer", "random_test"),
}
PRETRAINED_ON = "in the released model's pretraining"
OF_THE_METHOD = "method"  # the setting of numbers that a method says of itself; no task declares those


@dataclass(frozen=True)
class ArmRows:
    """Makes the rows of the arm that `record` is about, on the slides of one dataset."""

    config: Config
    corpus: Corpus
    record: Mapping[str, Any]

    @cached_property
    def shared(self) -> dict[str, Any]:
        """What all rows of the arm have in common."""
        config, record = self.config, self.record
        return {
            "dataset": self.corpus.record["slides"][self.corpus.names[0]]["dataset"],
            "data": self.corpus.digest,
            "method": record["method"],
            "options": config.method(record["method"]).canonical,
            "unit": record["unit"],
            "budget_axis": config.budget.axis,
            "budget": record["amount"],
            "seed": record["seed"],
            "fold": record["fold"],
            "transductive": record["seen"]["transductive"] or record.get("transductive", False),
            "reference": record["reference"],
            "note": record.get("software", ""),
            "self_reported": bool(record["spent"] and record["spent"]["self_reported"]),
        }

    def costs(self) -> Iterator[Score]:
        """Whether the arm finished, what it cost, and how well it has learned its objective."""
        record, shared = self.record, self.shared | {"split": "none", "setting": "pretraining"}
        if record["status"] != "ok":
            yield Score(**shared, task="arm", metric="status", status=record["status"], reason=record["reason"])
            return
        yield Score(**shared, task="arm", metric="status", value=1.0)
        costs = {"arm_seconds": record["seconds"], "parameters": record["parameters"]}
        if spent := record["spent"]:
            costs |= {metric: spent[name] for name, metric in COSTS.items()}
            costs |= {f"{self.config.budget.axis}_target": spent["amount"]}
            costs |= {"epochs": spent["spots"] / self.corpus.subset(record["seen"]["learn"]).n_spots}
        if (read := record.get("inference")) and read["flops"]:
            costs |= {"inference_flops_per_spot": read["flops"] / read["spots"]}
        for metric, value in costs.items():
            row = shared | {"task": "cost", "metric": metric}
            if value is not None:
                yield Score(**row, value=value)
            elif metric == "energy_joules":
                yield Score(**row, status="not applicable", reason="no energy counter here")
        for slide in record["seen"]["test"]:
            row = shared | {"task": "objective", "slide": slide, "donor": self.corpus.record["slides"][slide]["donor"]}
            for metric, value in record.get("learned", {}).get(slide, {}).items():
                yield Score(**row, metric=metric, value=value)

    def curve(self) -> Iterator[dict[str, Any]]:
        """The points of the arm's training: its own numbers, then what it knew of each held-out slide on the way and
        at its end. See `benchmark.core.curves`."""
        record, arm = self.record, {name: self.shared[name] for name in ARM}
        if record["status"] != "ok":
            return
        spent = record["spent"] or {"flops": 0.0}
        courses = {"": spent.get("curve", [])}
        for slide in record["seen"]["test"]:
            end = record.get("learned", {}).get(slide)
            on_the_way = record.get("curves", {}).get(slide, [])
            courses[slide] = [*on_the_way, *([{"flops": spent["flops"], **end}] if end else [])]
        for slide, course in courses.items():
            for point in course:
                place = arm | {"slide": slide, "flops": float(point["flops"])}
                yield from (place | {"name": name, "value": point[name]} for name in point if name != "flops")

    def absent(self, task: Task, split: Split, status: Status, reason: str) -> Score:
        """The first key score of the task, without a value."""
        key = task.key_scores[0]
        row = self._of(task, split) | {"setting": key.setting, "metric": key.metric}
        return Score(**row, status=status, reason=reason)

    def measured(self, task: Task, split: Split, result: Measured | NotApplicable, **more: Any) -> Score:
        """A value that the task measured, or why it could not.

        Args:
            more: other columns of the row, such as `neighbours`.

        Raises:
            UnitBenchError: the task does not declare the metric.
        """
        donor, slides = "pooled", self.record["seen"]["test"]
        if result.slide != "pooled":
            donor, slides = self.corpus.record["slides"][result.slide]["donor"], [result.slide]
        row = self._of(task, split) | {"setting": result.setting, "slide": result.slide, "donor": donor, **more}
        if {row["dataset"], *slides} & set(self.record["pretrained_on"]):
            row |= {"transductive": True, "note": "; ".join(filter(None, (row["note"], PRETRAINED_ON)))}
        if isinstance(result, NotApplicable):
            return Score(**row, metric="any", status="not applicable", reason=result.reason)
        check_declared(task.name, result)
        row["note"] = "; ".join(filter(None, (row["note"], result.note)))
        return Score(**row, metric=result.metric, value=result.value, n_train=result.n_train, n_test=result.n_test)

    def _of(self, task: Task, split: Split) -> dict[str, Any]:
        """What all rows of a task on a split have in common."""
        protocol = protocol_of(task, self._options.get(task.name, {}), self.config.splits, split)
        return self.shared | {"split": split, "task": task.name, "protocol": protocol}

    @cached_property
    def _options(self) -> dict[str, dict[str, Any]]:
        """The options of each task in the config."""
        return {entry.task: entry.options for entry in self.config.tasks}


def arm_rows(config: Config, corpus: Corpus, records: Iterable[dict]) -> Iterator[ArmRows]:
    """For each arm and each dataset that it is scored on: with the slides of that dataset alone."""
    datasets = corpus.evaluated.by_dataset().values()
    for record in records:
        for part in datasets:
            seen = record["seen"]
            sides = {side: [name for name in seen[side] if name in part.names] for side in ("fit", "test")}
            if sides["test"]:
                yield ArmRows(config, part, record | {"seen": seen | sides})


def protocol_of(task: Task, options: Mapping[str, Any], splits: Splits, split: Split) -> str:
    """The protocol id of a task's rows on a split: 12 hex digits."""
    drawn = splits.model_dump(mode="json", include=set(DRAWN_BY[split]))
    return fingerprint([task.name, offer(task, "protocol"), options, split, drawn])


def check_declared(task: str, result: Measured) -> None:
    """Raises UnitBenchError: the task measured a metric that it does not declare."""
    known = declared(task).metrics
    if result.metric not in known and result.setting != OF_THE_METHOD:
        cause = f"measured {result.metric!r}, which is not among its metrics"
        raise UnitBenchError(f"task {task!r}", cause, f"declare it; {nearest(result.metric, known)}")
