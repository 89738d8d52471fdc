"""Where a run keeps what, and which jobs it has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.core import registry
from benchmark.core.config import Config, Method, read_config
from benchmark.core.contracts import offer
from benchmark.core.environments import Environment, find_environment
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import fingerprint
from benchmark.experiment.arms import arms, folds
from benchmark.stats.options import LEAST_ENTRANTS


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

    def checked(self, job: str) -> Path:
        """Says that the methods of a job can be fitted to the corpus. Its name tells their settings: changed ones lack
        it, while a job whose settings are as before finds its own."""
        return self.results / "checked" / f"{job}.{fingerprint(self.settings(job))}.json"

    @property
    def times(self) -> Path:
        """Snakemake's clock of each job, `<step>.<job>.tsv`, and beside it `.json`, the seconds of its work."""
        return self.results / "benchmarks"

    def progress(self, job: str) -> Path:
        return self.results / "progress" / f"{job}.json"

    @cached_property
    def jobs(self) -> dict[str, list[tuple[str, str]]]:
        """The (method, fold) pairs of each job, by its name. The dataset's record alone says which folds there are.

        A job runs in one environment: "fold0-1" in the main one, "fold0-1@scgpt" in another. A process in another
        environment finds the same jobs there, whatever it lacks of the methods of the others.
        """
        groups = registry.make("datasets", self.config.dataset.name, self.config.dataset.options).record()["groups"]
        size, together = self.config.methods_per_job, {}
        for method in self.config.methods:
            place = _needs(method)
            together.setdefault(f"@{place}" if place else "", []).append(method.label)
        return {
            f"{fold}-{first // size}{place}": [(label, fold) for label in labels[first : first + size]]
            for fold in folds(self.config, groups)
            for place, labels in together.items()
            for first in range(0, len(labels), size)
        }

    def environment(self, job: str) -> Environment | None:
        """Where a job runs, None in the main environment."""
        name = job.partition("@")[2]
        return find_environment(name) if name else None

    @property
    def environments(self) -> list[Environment]:
        """All that some job needs besides the main one."""
        return list(dict.fromkeys(filter(None, map(self.environment, self.jobs))))

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

    def plan(self, *jobs: str) -> dict[str, int]:
        """How many arms each of these jobs has, or all. Makes their methods and tasks: what cannot be made is known
        before anything runs.

        Raises:
            UnitBenchError: a plugin fails to import, or refuses its options.
        """
        for task in self.config.tasks:
            registry.make("tasks", task.task, task.options)
        jobs = jobs or tuple(self.jobs)
        methods = map(self.config.method, dict.fromkeys(label for job in jobs for label, _ in self.jobs[job]))
        unit = {m.label: registry.make("methods", m.method, m.options).unit for m in methods}
        return {
            job: sum(len(list(arms(self.config, label, unit[label], fold))) for label, fold in self.jobs[job])
            for job in jobs
        }

    @property
    def steps(self) -> list[str]:
        """Names of all jobs of the workflow before its verdict: "<step>" or "<step>.<job>"."""
        once = ["prepare", "check", "leaderboard", "report", "track"]
        return once + [f"{step}.{job}" for step in ("pretrain", "score") for job in self.jobs]

    def settings(self, job: str) -> dict:
        """All that a job depends on besides the data, its plugins' versions too: a change runs it again."""
        shared = self.config.model_dump(include={"budget", "splits", "seeds", "neighbours", "precision", "tasks"})
        methods = [self.config.method(label) for label, _ in self.jobs[job]]
        plugins = [registry.find("methods", method.method) for method in methods]
        versions = [f"{plugin.distribution} {plugin.version}" for plugin in plugins]
        if place := self.environment(job):
            versions.append(f"{place.name} {place.recipe}")
        return shared | {"methods": [method.model_dump() for method in methods], "versions": versions}


def _needs(method: Method) -> str:
    """The environment of a method, "" for the main one: that of a method that cannot be used, too."""
    plugin = registry.plugins("methods").get(method.method)
    if plugin is None or not plugin.environment:
        return ""
    made = registry.make("methods", method.method, method.options)
    return "" if offer(made, "not_applicable") else plugin.environment


def open_run(config: Path, results: Path = Path("results"), job: str | None = None) -> Run:
    """Raises UnitBenchError: the config is not understood, or names a method or task that is not installed.

    With a `job` its methods are looked for and no others: those may be installed in another environment.
    """
    run = Run(Path(config), read_config(config), Path(results))
    chosen = run.config.methods if job is None else [run.config.method(label) for label, _ in run.jobs.get(job, [])]
    for method in chosen:
        registry.find("methods", method.method)
    for task in run.config.tasks:
        registry.find("tasks", task.task)
    registry.find("datasets", run.config.dataset.name)
    return Run(run.path, run.config, run.results / run.config.name)
