"""The budget: what an arm may spend on pretraining, and the meter that counts what it has spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.core.errors import UnitBenchError

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.units.batch import Batch

Axis = Literal["flops", "device_seconds", "spots"]
Strategy = Literal["ddp", "fsdp"]
TOLERANCE = 0.02  # spent and target agree within this share, or the arm fails


@dataclass
class Meter:
    """What has been spent. The checkpoint holds its state, so a resumed run ends with the totals of an unbroken one.

    FLOPs, seconds, spots and energy are totals over all devices; memory is that of the device that took most.

    Attributes:
        devices: that trained last.
        seen: which spots of the corpus a sample has shown, bool `[n_spots]`.
        energy_joules: None where the device has no counter.
        step_cost: of the last step, on the axis.
        self_reported: whether a loop other than the benchmark's own has counted any of it.
        curve: what the training looked like on the way: see `benchmark.training.course.Course`.
        snapshots: the FLOPs spent and the weights at some points of the way, if they were asked for.
    """

    axis: Axis
    amount: float
    flops: float = 0.0
    device_seconds: float = 0.0
    spots: int = 0
    steps: int = 0
    devices: int = 1
    seen: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    peak_memory_bytes: int = 0
    energy_joules: float | None = None
    step_cost: float = 0.0
    self_reported: bool = False
    curve: list[dict[str, float]] = field(default_factory=list)
    snapshots: list[tuple[float, dict[str, Tensor]]] = field(default_factory=list)

    def report(self, *, flops: float, spots: int, steps: int = 1, device_seconds: float = 0.0) -> None:
        """Count some steps of a loop other than `benchmark.training.loop.pretrain`. Call it after every few steps.

        Args:
            flops: of their forward and backward passes.
            spots: that their samples showed, repeats included.
            steps: how many they were.
            device_seconds: that they took. The benchmark's own clock corrects them: see `Spending`.
        """
        self.flops += flops
        self.spots += spots
        self.steps += steps
        self.device_seconds += device_seconds
        self.self_reported = True

    @property
    def spent(self) -> float:
        return {"flops": self.flops, "device_seconds": self.device_seconds, "spots": self.spots}[self.axis]

    @property
    def fraction(self) -> float:
        return self.spent / self.amount

    def price(self, flops: int, spots: int) -> float:
        """What a step costs on the axis. Its seconds are guessed: the mean over the steps so far."""
        seconds = self.device_seconds / (self.steps + 1)
        return {"flops": flops, "device_seconds": seconds, "spots": spots}[self.axis]

    def has_room(self, cost: float) -> bool:
        """Whether one more step of `cost` ends nearer to the amount than stopping now does."""
        return self.spent + cost / 2 <= self.amount

    def add(self, samples: Batch, flops: int, cost: float) -> None:
        """Count a step on these samples. Its seconds are counted by `clock`."""
        self.flops += flops
        self.spots += samples.n_spots
        self.seen[samples.spot[samples.spot >= 0]] = True
        self.steps += 1
        self.step_cost = cost

    def check(self) -> None:
        """Raises UnitBenchError where spent and target differ by over 2%."""
        if abs(self.fraction - 1) > TOLERANCE:
            raise UnitBenchError(
                f"budget {self.axis}",
                f"spent {self.spent:.3g} of {self.amount:.3g} in {self.steps} steps",
                "give a larger budget or smaller batches, so that one step is under 4% of it",
            )

    def record(self) -> dict[str, Any]:
        """Every count, whichever axis is matched; None where the device has no counter."""
        record = asdict(self)
        record["unique_spots"] = int(record.pop("seen").sum())
        del record["step_cost"], record["snapshots"]
        return record


@dataclass(frozen=True)
class Training:
    """How a step is computed. What it computes does not depend on it.

    Attributes:
        devices: of each of the `nodes`.
        strategy: whether every device holds the whole model ("ddp") or a part of it ("fsdp").
        accumulate: turns in which a device takes its samples of a step.
    """

    devices: int = 1
    nodes: int = 1
    strategy: Strategy = "ddp"
    accumulate: int = 1

    @property
    def n_devices(self) -> int:
        """All of them."""
        return self.devices * self.nodes


ONE_DEVICE = Training()


@dataclass(frozen=True)
class Budget:
    """What one `fit` may spend.

    Attributes:
        axis, amount: so many FLOPs, device-seconds or spots.
        precision: "bf16", "fp32", or "auto": bf16 where the hardware multiplies it faster.
        checkpoint: where the state of the training is kept; None: nowhere.
        progress: called from time to time with the fraction spent and a line of text.
        training: on how many devices `benchmark.training.loop.pretrain` trains.
        meter: counts what is spent. `benchmark.training.loop.pretrain` does so itself; any other loop calls its
            `report`, and asks `has_room` before a step.
    """

    axis: Axis
    amount: float
    precision: str = "auto"
    checkpoint: Path | None = None
    progress: Callable[[float, str], None] = lambda fraction, text: None
    training: Training = ONE_DEVICE
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "meter", Meter(self.axis, self.amount))
