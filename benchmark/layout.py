"""Where a run keeps what, and which jobs it has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark import registry
from benchmark.arms import arms, folds
from benchmark.config import Config, read_config
from benchmark.errors import UnitBenchError, nearest
from benchmark.options import LEAST_ENTRANTS


@dataclass(frozen=True)
class Run:
    """A config and the folder of its results. All paths of the workflow are made here."""

    path: Path
    config: Config
    results: Path

    @property
    def corpus(self) -> Path:
        return self.results / "corpus"

    def arms(self, job: str) -> Path:
        """What `pretrain` leaves of a job: the record of each of its arms."""
        return self.results / "jobs" / f"{job}.arms.json"

    def scores(self, job: str) -> Path:
        return self.results / "jobs" / f"{job}.scores.json"

    def maps(self, job: str) -> Path:
        return self.results / "jobs" / f"{job}.maps.parquet"

    @property
    def checked(self) -> Path:
        """Says that every method can be fitted to the corpus with its settings."""
        return self.results / "checked.json"

    @property
    def times(self) -> Path:
        """Snakemake's clock of each job, `<step>.<job>.tsv`, and beside it `.json`, the seconds of its work."""
        return self.results / "benchmarks"

    def progress(self, job: str) -> Path:
        return self.results / "progress" / f"{job}.json"

    @cached_property
    def jobs(self) -> dict[str, list[tuple[str, str]]]:
        """The (method, fold) pairs of each job, by its name. The dataset's record alone says which folds there are."""
        groups = registry.make("datasets", self.config.dataset.name, self.config.dataset.options).record()["groups"]
        labels, size = [method.label for method in self.config.methods], self.config.methods_per_job
        return {
            f"{fold}-{first // size}": [(label, fold) for label in labels[first : first + size]]
            for fold in folds(self.config, groups)
            for first in range(0, len(labels), size)
        }

    @property
    def varied(self) -> bool:
        """Whether some plugin stands in the config often enough to make a grid: the run then has an ablation."""
        return max(Counter(method.method for method in self.config.methods).values()) >= LEAST_ENTRANTS

    def chosen(self, job: str | None) -> list[str]:
        """That job, or all of them.

        Raises:
            UnitBenchError: there is no such job.
        """
        if job is not None and job not in self.jobs:
            raise UnitBenchError(f"job {job!r}", f"not in {self.path}", nearest(job, self.jobs))
        return [job] if job else list(self.jobs)

    def plan(self) -> dict[str, int]:
        """How many arms each job has. Makes every method and task: what cannot be made is known before anything runs.

        Raises:
            UnitBenchError: a plugin fails to import, or refuses its options.
        """
        for task in self.config.tasks:
            registry.make("tasks", task.task, task.options)
        unit = {m.label: registry.make("methods", m.method, m.options).unit for m in self.config.methods}
        return {
            job: sum(len(list(arms(self.config, label, unit[label], fold))) for label, fold in pairs)
            for job, pairs in self.jobs.items()
        }

    @property
    def steps(self) -> list[str]:
        """Names of all jobs of the workflow before its verdict: "<step>" or "<step>.<job>"."""
        once = ["prepare", "check", "leaderboard", "report", "track"]
        return once + [f"{step}.{job}" for step in ("pretrain", "score") for job in self.jobs]

    def settings(self, *jobs: str) -> dict:
        """All that jobs depend on besides the data, their plugins' versions too: a change runs them again."""
        shared = self.config.model_dump(include={"budget", "splits", "seeds", "neighbours", "precision", "tasks"})
        labels = dict.fromkeys(label for job in jobs for label, _ in self.jobs[job])
        methods = [self.config.method(label) for label in labels]
        plugins = [registry.find("methods", method.method) for method in methods]
        versions = [f"{plugin.distribution} {plugin.version}" for plugin in plugins]
        return shared | {"methods": [method.model_dump() for method in methods], "versions": versions}


def open_run(config: Path, results: Path = Path("results")) -> Run:
    """Raises UnitBenchError: the config is not understood, or names a method or task that is not installed."""
    run = Run(Path(config), read_config(config), Path(results))
    for method in run.config.methods:
        registry.find("methods", method.method)
    for task in run.config.tasks:
        registry.find("tasks", task.task)
    registry.find("datasets", run.config.dataset.name)
    return Run(run.path, run.config, run.results / run.config.name)
