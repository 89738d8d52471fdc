"""The experiment as typed, frozen values, read from YAML."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.expand import combinations, read_values
from benchmark.core.typed_values import Frozen, build

MOST_REPEATS = 1000  # of a split within slides
MOST_ENTRIES = 10_000  # that one `vary` makes
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"  # names of the run and of methods become names of folders

PLAIN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # a dot ends the name of a dataset in that of a slide


class Dataset(Frozen):
    """A dataset of the registry and its options."""

    name: str = Field(description="As `unitbench list` has it.")
    options: dict[str, Any] = Field(default={}, description="Keywords of its class.")


Role = Literal["pretrain", "evaluate", "both"]


class Part(Dataset):
    """One of several datasets, and what its slides are for."""

    role: Role = Field(
        default="both",
        description="`pretrain`: methods learn from its slides, which need no labels. `evaluate`: its slides are "
        "scored, and no method is pretrained on them. `both`: methods learn from those of the training donors.",
    )


class Method(Frozen):
    """A method of the registry, its options, and its label in the run. Several entries may use one method.

    `vary` gives a list of values for some options. The config then has one entry for each combination.
    """

    method: str = Field(description="As `unitbench list` has it.")
    label: str = Field(default="", pattern=NAME, description="What tables and folders call it; left out: the method.")
    options: dict[str, Any] = Field(default={}, description="Keywords of its class.")
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default={}, exclude=True, description="Options with a list of values each: one entry for each combination."
    )
    folds: dict[str, dict[str, Any]] = Field(
        default={},
        description="Options of single folds, by the fold's name, on top of `options`. See `unitbench tune`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        value = {"method": value} if isinstance(value, str) else value
        return {"label": value.get("method", ""), **value} if isinstance(value, dict) else value

    @property
    def canonical(self) -> str:
        """The plugin and its options as JSON with sorted keys, and whether single folds have options of their own."""
        tuned = {"tuned": True} if self.folds else {}
        return json.dumps({"method": self.method, **self.options, **tuned}, sort_keys=True)

    def at(self, fold: str) -> Method:
        """The entry as it is in one fold."""
        return Method(method=self.method, label=self.label, options=self.options | self.folds.get(fold, {}))

    def expanded(self) -> list[Method]:
        """One entry for each combination of the varied options.

        Raises:
            ValueError: an option is both fixed and varied, there are over 10,000 combinations, or a value cannot be
                part of a label.
        """
        if (n_entries := math.prod(map(len, self.vary.values()))) > MOST_ENTRIES:
            raise ValueError(f"{self.label}: vary makes {n_entries:,} combinations; at most {MOST_ENTRIES:,} are taken")
        if both := self.options.keys() & self.vary.keys():
            raise ValueError(f"{self.label}: option {min(both)!r} stands in both options and vary: remove one")
        entries = []
        for suffix, chosen in combinations(self.vary):
            if not re.fullmatch(NAME, self.label + suffix):
                raise ValueError(f"{self.label + suffix!r} is no legal label: vary numbers or plain words")
            options = self.options | chosen
            entries.append(Method(method=self.method, label=self.label + suffix, options=options, folds=self.folds))
        return entries


class Task(Frozen):
    """A task of the registry and its options."""

    task: str = Field(description="As `unitbench list` has it.")
    options: dict[str, Any] = Field(default={}, description="Keywords of its class.")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"task": value} if isinstance(value, str) else value


class Budget(Frozen):
    """How much pretraining an arm may spend: FLOPs, seconds on the device, or spots seen (again if repeated)."""

    axis: Literal["flops", "device_seconds", "spots"] = Field(
        default="flops", description="What is matched. Spots that are seen again count again."
    )
    amounts: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(
        default=(0.0,), min_length=1, description="Each is an arm of its own. 0 is the untrained control."
    )

    @field_validator("amounts")
    @classmethod
    def _ordered(cls, amounts: tuple[float, ...]) -> tuple[float, ...]:
        if min(amounts) < 0:
            raise ValueError("amounts are at least 0 (0 is the untrained control)")
        return tuple(sorted(set(amounts)))


class Training(Frozen):
    """On how many devices one arm is trained, and how they share a step. What a step computes stays the same."""

    devices: int = Field(default=1, ge=1, description="GPUs of a node; on a machine without any, processes.")
    nodes: int = Field(default=1, ge=1, description="Machines with so many devices each. More than 1 needs Slurm.")
    strategy: Literal["ddp", "fsdp"] = Field(
        default="ddp", description="`ddp`: every device holds the whole model. `fsdp`: each holds a part of it."
    )
    accumulate: int = Field(
        default=1, ge=1, description="Parts that a device takes its samples in, one after another, to save memory."
    )


class Limits(Frozen):
    """What one arm may take; an arm that takes more has failed. With a limit, each arm has a process of its own."""

    hours: float | None = Field(default=None, gt=0, description="On the clock. Null: no limit.")
    memory_gb: float | None = Field(
        default=None, gt=0, description="Of its own data, where the system can limit it. Null: no limit."
    )


class Splits(Frozen):
    """The splits of the experiment, and how often each is drawn."""

    donor_folds: int | None = Field(
        default=None,
        ge=0,
        description="How many folds hold out whole groups. Null: one for each group. 0: none, for one slide alone.",
    )
    random_repeats: int = Field(
        default=5, ge=0, le=MOST_REPEATS, description="How often the split `random` is drawn. 0 leaves it out."
    )
    random_test: float = Field(default=0.2, gt=0, lt=1, description="Share of the spots that it and `block` test.")
    few_labels_repeats: int = Field(
        default=0, ge=0, le=MOST_REPEATS, description="How often the split `few_labels` is drawn."
    )
    few_labels: float = Field(default=0.2, gt=0, lt=1, description="Share of the spots that its probes learn from.")
    block_repeats: int = Field(default=0, ge=0, le=MOST_REPEATS, description="How often the split `block` is drawn.")
    block_cells: int = Field(default=6, ge=1, description="Side of a block, in cells of the lattice.")
    block_buffer: float = Field(
        default=2, ge=0, description="Training spots nearer than this to a test spot are left out, in pitches."
    )
    without: tuple[str, ...] = Field(
        default=(), description="Groups of slides that nothing learns from and nothing is scored on."
    )

    @model_validator(mode="after")
    def _some_split(self) -> Splits:
        if self.donor_folds == 1:
            raise ValueError("donor_folds: 1 fold would hold out every slide: give 0, null, or 2 and more")
        if self.donor_folds == 0 and not any(self.repeats.values()):
            raise ValueError("donor_folds is 0 and no split within slides is asked: set block_repeats to 1 or more")
        return self

    @property
    def repeats(self) -> dict[str, int]:
        """How often each split within slides is drawn."""
        return {"random": self.random_repeats, "few_labels": self.few_labels_repeats, "block": self.block_repeats}


class Tuning(Frozen):
    """What `unitbench tune` tries: settings of all methods that learn, on donors that are no test donors."""

    space: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        min_length=1, description="Options with a list of values each. The first setting tried is the method's own."
    )
    trials: int = Field(default=8, ge=2, description="Settings that are tried, drawn from the space: the same for all.")
    amount: float = Field(gt=0, allow_inf_nan=False, description="What each trial may spend, on the axis of `budget`.")
    splits: Splits = Field(
        default=Splits(donor_folds=2, random_repeats=0),
        description="How the slides that learn in a fold are split into those of the trials and those that score them.",
    )


class Config(Frozen):
    """The whole experiment."""

    name: str = Field(pattern=NAME, description="Results go to `results/<name>`.")
    dataset: Dataset | None = Field(default=None, description="Where the slides come from.")
    datasets: dict[Annotated[str, Field(pattern=PLAIN)], Part] = Field(
        default={},
        description="In place of `dataset`, several, by a short name that slides and donors are called after.",
    )
    methods: tuple[Method, ...] = Field(min_length=1, description="What is compared.")
    tasks: tuple[Task, ...] = Field(min_length=1, description="What is scored.")
    budget: Budget = Field(default=Budget(), description="What every arm may spend on pretraining.")
    splits: Splits = Field(default=Splits(), description="Which spots probes learn from, and which are scored.")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(
        default=(0, 1, 2), min_length=1, description="Every arm is fitted with each. A claim takes at least 3."
    )
    neighbours: tuple[Annotated[int, Field(ge=0, le=1000)], ...] = Field(
        default=(0, 8),
        min_length=1,
        description="Every embedding is averaged over so many spatial neighbours, and scored. 0: as it is.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="Of training. `auto`: bf16 where the hardware multiplies it faster."
    )
    training: Training = Field(default=Training(), description="On how many devices one arm is trained.")
    limits: Limits = Field(default=Limits(), description="What one arm may take of the machine.")
    tuning: Tuning | None = Field(default=None, description="What `unitbench tune` tries. A run does not use it.")
    methods_per_job: int | None = Field(
        default=None,
        ge=1,
        description="Methods that one process fits in turn. Null: as many as make jobs of 5 to 30 minutes by the plan; "
        "1 where nothing was measured.",
    )
    folds_per_job: int = Field(
        default=1,
        ge=1,
        description="Folds that hold out donors that one process fits in turn: short ones share its start-up.",
    )

    @field_validator("methods")
    @classmethod
    def _expanded(cls, methods: tuple[Method, ...]) -> tuple[Method, ...]:
        return tuple(entry for method in methods for entry in method.expanded())

    @field_validator("seeds", "neighbours")
    @classmethod
    def _differ(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if twice := _twice(numbers):
            raise ValueError(f"{twice[0]} is listed twice: remove one")
        return numbers

    @model_validator(mode="after")
    def _some_data(self) -> Config:
        if (self.dataset is None) == (not self.datasets):
            raise ValueError("give either `dataset` or `datasets`")
        if self.datasets and all(part.role == "pretrain" for part in self.datasets.values()):
            raise ValueError("datasets: every role is `pretrain`: give one of them `both` or `evaluate`")
        if self.datasets and all(part.role == "evaluate" for part in self.datasets.values()):
            raise ValueError("datasets: every role is `evaluate`: give one of them `both` or `pretrain`")
        return self

    @property
    def sources(self) -> dict[str, Part]:
        """The datasets by their short names; that of `dataset` is empty."""
        return self.datasets or {"": Part.model_validate(self.dataset.model_dump() if self.dataset else {})}

    @model_validator(mode="after")
    def _names_differ(self) -> Config:
        if twice := _twice(method.label for method in self.methods):
            raise ValueError(f"two methods share the label {twice[0]!r}: give one a label of its own")
        if twice := _twice(task.task for task in self.tasks):
            raise ValueError(f"the task {twice[0]!r} is listed twice: give its other options a config of their own")
        return self

    def method(self, label: str) -> Method:
        """The entry with this label. Raises UnitBenchError: there is none."""
        for method in self.methods:
            if method.label == label:
                return method
        raise UnitBenchError(f"method {label!r}", "not in the config", nearest(label, [m.label for m in self.methods]))


def _twice(values: Iterable[Any]) -> list[Any]:
    """The values that are there more than once, in order."""
    return sorted(value for value, count in Counter(values).items() if count > 1)


def read_config(path: Path) -> Config:
    """The experiment of a file, with its shorthand (`extends`, `include`, `vary`) replaced by what it stands for.

    Raises:
        UnitBenchError: no file, no YAML, or a key or value that is not valid.
    """
    return build(Config, read_values(path), path)
