"""What the parts of a run will take: its arms, its jobs, and the whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from benchmark.experiment.arms import Arm
from benchmark.training.budget import TOLERANCE


@dataclass(frozen=True)
class ArmCost:
    """What one arm will take.

    Attributes:
        flops, steps, spots: of its training.
        training, beside, scoring: seconds: of its training, of all else in its fit, and of its scores.
        n_bytes: of its files.
        memory: bytes of its process at the peak; 0 where it was not measured.
        fraction: what it will have spent of its budget.
    """

    arm: Arm
    flops: float = 0.0
    steps: float = 0.0
    spots: float = 0.0
    training: float = 0.0
    beside: float = 0.0
    scoring: float = 0.0
    n_bytes: float = 0.0
    memory: float = 0.0
    fraction: float = 1.0

    @property
    def misses(self) -> bool:
        """Whether it will end too far from its budget, and so fail."""
        return abs(self.fraction - 1) > TOLERANCE


@dataclass(frozen=True)
class JobCost:
    """A job: seconds to start its two processes, seconds that its arms share, and its arms."""

    start_fit: float
    start_score: float
    shared: float
    arms: tuple[ArmCost, ...]

    @property
    def fit(self) -> float:
        """Seconds of `pretrain`."""
        return self.start_fit + self.shared + sum(cost.training + cost.beside for cost in self.arms)

    @property
    def score(self) -> float:
        """Seconds of `score`."""
        return self.start_score + sum(cost.scoring for cost in self.arms)


@dataclass(frozen=True)
class Plan:
    """The whole run.

    Attributes:
        once: seconds of each step that runs once.
        tables: bytes of tables and pages.
        sources: where the figures are from, by what they are of.
        lacking: what was not measured, and counts as 0.
    """

    jobs: dict[str, JobCost]
    once: dict[str, float]
    tables: float
    sources: dict[str, Counter[str]]
    lacking: list[str]

    @property
    def arms(self) -> list[ArmCost]:
        return [cost for job in self.jobs.values() for cost in job.arms]

    @property
    def core_seconds(self) -> float:
        """Of all processes."""
        return sum(self.once.values()) + sum(job.fit + job.score for job in self.jobs.values())

    @property
    def device_seconds(self) -> float:
        """How long `pretrain` holds the device, over all jobs."""
        return sum(job.fit for job in self.jobs.values())
