"""Where a run keeps what, and which jobs it has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark import registry
from benchmark.arms import folds
from benchmark.config import Config, read_config


@dataclass(frozen=True)
class Run:
    """A config and the folder of its results. All paths of the workflow are made here."""

    path: Path
    config: Config
    results: Path

    @property
    def corpus(self) -> Path:
        return self.results / "corpus"

    def arms(self, method: str, fold: str) -> Path:
        """What `pretrain` leaves of one method in one fold."""
        return self.results / "arms" / method / fold / "arms.json"

    def scores(self, method: str, fold: str) -> Path:
        return self.results / "scores" / method / f"{fold}.json"

    def maps(self, method: str, fold: str) -> Path:
        return self.results / "scores" / method / f"{fold}.maps.parquet"

    def progress(self, method: str, fold: str) -> Path:
        return self.results / "progress" / f"{method}.{fold}.json"

    @cached_property
    def jobs(self) -> list[tuple[str, str]]:
        """(method, fold) of every pretraining job; the dataset's record alone says which folds there are."""
        groups = registry.make("datasets", self.config.dataset.name, self.config.dataset.options).record()["groups"]
        return [(method.label, fold) for fold in folds(self.config, groups) for method in self.config.methods]

    def settings(self, label: str) -> dict:
        """All that the arms of a method depend on besides the data: a change runs its jobs again."""
        shared = self.config.model_dump(include={"budget", "splits", "seeds", "precision", "tasks"})
        return shared | self.config.method(label).model_dump()

    def version(self, label: str) -> str:
        """Distribution and version of a method's plugin: a change of either runs its jobs again."""
        plugin = registry.find("methods", self.config.method(label).method)
        return f"{plugin.distribution} {plugin.version}"


def open_run(config: Path, results: Path = Path("results")) -> Run:
    """Raises UnitBenchError: the config is not understood, or names a method or task that is not installed."""
    run = Run(Path(config), read_config(config), Path(results))
    for method in run.config.methods:
        registry.find("methods", method.method)
    for task in run.config.tasks:
        registry.find("tasks", task.task)
    registry.find("datasets", run.config.dataset.name)
    return Run(run.path, run.config, run.results / run.config.name)
