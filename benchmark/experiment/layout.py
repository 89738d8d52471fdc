"""Where a run keeps its files, and which jobs it has."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from benchmark.core import registry
from benchmark.core.config import Config, Method, read_config
from benchmark.core.contracts import Dataset, offer
from benchmark.core.environments import Environment, find_environment
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import fingerprint
from benchmark.datasets.together import Together
from benchmark.experiment.arms import Arm, arms, folds
from benchmark.experiment.depends import depends
from benchmark.stats.options import LEAST_ENTRANTS


@dataclass(frozen=True)
class Run:
    """A config and the folder of its results. All paths of the workflow are made here."""

    path: Path
    config: Config
    results: Path

    @property
    def arguments(self) -> str:
        """How the command line names this run: `--config PATH --results FOLDER`, quoted for a shell."""
        return shlex.join(["--config", str(self.path), "--results", str(self.results.parent)])

    # Files

    @property
    def frozen(self) -> Path:
        """The copy of the config that the steps of a run read."""
        return self.results / "config.yaml"

    @property
    def begun(self) -> Config | None:
        """That copy; None where there is none that can be read."""
        try:
            return read_config(self.frozen)
        except (UnitBenchError, OSError, ValueError):
            return None

    @property
    def corpus(self) -> Path:
        return self.results / "corpus"

    @property
    def record(self) -> Path:
        """What `prepare` writes last: a corpus with this file is complete."""
        return self.corpus / "record.json"

    def arms(self, job: str) -> Path:
        """What `pretrain` writes of a job: the records of all its arms."""
        return self.results / "jobs" / f"{job}.arms.json"

    def scores(self, job: str) -> Path:
        return self.results / "jobs" / f"{job}.scores.json"

    def maps(self, job: str) -> Path:
        return self.results / "jobs" / f"{job}.maps.parquet"

    def checked(self, job: str) -> Path:
        """A mark: the methods of the job can be fitted to the corpus. The name holds a fingerprint of their settings,
        so a job with changed settings has no mark."""
        return self.results / "checked" / f"{job}.{fingerprint(depends(self, 'pretrain', job))}.json"

    @property
    def scored(self) -> list[Path]:
        """What `score` writes of all jobs."""
        return [file(job) for file in (self.scores, self.maps) for job in self.jobs]

    @property
    def tables(self) -> list[Path]:
        """What `leaderboard` writes."""
        names = ["scores.parquet", "scores.csv", "curves.parquet", "maps.parquet"]
        names += ["leaderboard.csv", "leakage.csv", "manifest.json"]
        grids = ["ablation.csv", "effects.csv"] if self.varied else []
        return [self.results / name for name in names + grids]

    @property
    def pages(self) -> list[Path]:
        """What `report` writes."""
        names = ["report.html", "overview.png", *(["ablation.png"] if self.varied else [])]
        return [self.results / name for name in names]

    @property
    def summary(self) -> Path:
        """What `show` writes where no arm has failed."""
        return self.results / "summary.txt"

    @property
    def tracked(self) -> Path:
        """What `track` writes beside MLflow's database."""
        return self.results / "mlflow.json"

    @property
    def database(self) -> Path:
        return self.results / "mlflow.db"

    @property
    def made(self) -> list[Path]:
        """All that the steps make and a run asks for: where one of these is gone, it is made again."""
        of_jobs = [file(job) for file in (self.checked, self.arms) for job in self.jobs]
        return [self.record, *of_jobs, *self.scored, *self.tables, *self.pages, self.tracked, self.summary]

    @property
    def times(self) -> Path:
        """Seconds of each job, `<step>.<job>.tsv` by Snakemake, and beside it the seconds of its work, `.json`."""
        return self.results / "benchmarks"

    @property
    def trials(self) -> Path:
        """What `plan` has measured on this machine; see `benchmark.experiment.trial`."""
        return self.results / "trials.json"

    def progress(self, name: str) -> Path:
        """How far the process is that works on a job, or on one arm alone."""
        return self.results / "progress" / f"{name}.json"

    # Jobs

    @cached_property
    def dataset(self) -> dict:
        """The record of the dataset: what its corpus depends on."""
        return source(self.config).record()

    @cached_property
    def jobs(self) -> dict[str, list[tuple[str, str]]]:
        """The (method, fold) pairs of each job, by its name. The record of the dataset alone tells the folds.

        A job runs in one environment: "fold0-1" in the main one, "fold0-1@scgpt" in another. A process in any
        environment finds the same jobs, even where methods of other environments are not installed. A job of several
        folds has the name of the first.
        """
        packs = self._packs()
        size = self.size
        labels_in: dict[str, list[str]] = {}
        for method in self.config.methods:
            environment = _needs(method)
            labels_in.setdefault(f"@{environment}" if environment else "", []).append(method.label)
        return {
            f"{pack[0]}-{first // size}{environment}": [
                (label, fold) for fold in pack for label in labels[first : first + size]
            ]
            for pack in packs
            for environment, labels in labels_in.items()
            for first in range(0, len(labels), size)
        }

    def _packs(self) -> list[list[str]]:
        """The folds that jobs share: so many of those that hold out donors, and the one within slides by itself."""
        names = list(folds(self.config, self.dataset["groups"], self.dataset.get("roles", {})))
        of_donors, size = [name for name in names if name != "all"], self.config.folds_per_job
        packs = [of_donors[first : first + size] for first in range(0, len(of_donors), size)]
        return packs + [["all"]] * ("all" in names)

    @property
    def size(self) -> int:
        """Methods a job. Where the config leaves it open: as the run has it that has begun in this folder, else 1."""
        return self.config.methods_per_job or (self.begun.methods_per_job if self.begun else None) or 1

    def environment(self, job: str) -> Environment | None:
        """Where a job runs; None: in the main environment."""
        name = job.partition("@")[2]
        return find_environment(name) if name else None

    @property
    def environments(self) -> list[Environment]:
        """All environments that the jobs need, without the main one."""
        return list(dict.fromkeys(filter(None, map(self.environment, self.jobs))))

    @property
    def varied(self) -> bool:
        """Whether one plugin has enough entries in the config to make a grid: the run then has an ablation."""
        return max(Counter(method.method for method in self.config.methods).values()) >= LEAST_ENTRANTS

    @property
    def most_arms(self) -> int:
        """How many arms there are if every method learns in pretraining. No method is made."""
        pairs = sum(map(len, self.jobs.values()))
        return pairs * len(self.config.budget.amounts) * len(self.config.seeds)

    def chosen(self, job: str | None) -> list[str]:
        """That job, or all jobs.

        Raises:
            UnitBenchError: there is no such job.
        """
        if job is not None and job not in self.jobs:
            raise UnitBenchError(f"job {job!r}", f"not in {self.path}", nearest(job, self.jobs))
        return [job] if job else list(self.jobs)

    def plan(self, *jobs: str) -> dict[str, list[Arm]]:
        """The arms of each of these jobs, or of all jobs. Makes their methods and tasks, to find errors early.

        Raises:
            UnitBenchError: a plugin fails to import, or refuses its options.
        """
        for task in self.config.tasks:
            registry.make("tasks", task.task, task.options)
        jobs = jobs or tuple(self.jobs)
        methods = map(self.config.method, dict.fromkeys(label for job in jobs for label, _ in self.jobs[job]))
        unit = {m.label: registry.make("methods", m.method, m.options).unit for m in methods}
        return {
            job: [arm for label, fold in self.jobs[job] for arm in arms(self.config, label, unit[label], fold)]
            for job in jobs
        }

    @property
    def steps(self) -> list[str]:
        """The jobs of the workflow before `show`: "<step>" or "<step>.<job>"."""
        once = ["prepare", "check", "leaderboard", "report", "track"]
        return once + [f"{step}.{job}" for step in ("pretrain", "score") for job in self.jobs]


def with_size(run: Run, size: int) -> Run:
    """The run with so many methods of a fold a job."""
    return replace(run, config=run.config.model_copy(update={"methods_per_job": size}))


def source(config: Config) -> Dataset:
    """The dataset of a config; several are one, `Together`."""
    made = {name: registry.make("datasets", part.name, part.options) for name, part in config.sources.items()}
    if not config.datasets:
        return cast(Dataset, made[""])
    return Together(made, {name: part.role for name, part in config.datasets.items()})


def _needs(method: Method) -> str:
    """The environment that a method needs; "": the main one. A method that cannot be used needs no other."""
    plugin = registry.plugins("methods").get(method.method)
    if plugin is None or not plugin.environment:
        return ""
    made = registry.make("methods", method.method, method.options)
    return "" if offer(made, "not_applicable") else plugin.environment


def open_run(config: Path | str, results: Path | str = "results", job: str | None = None) -> Run:
    """The run of a config.

    Args:
        job: if given, only the methods of this job are looked for. Others may be installed in another environment.

    Raises:
        UnitBenchError: the config is not understood, or names a method or task that is not installed.
    """
    values = read_config(Path(config))
    run = Run(Path(config), values, Path(results) / values.name)
    methods = values.methods if job is None else [values.method(label) for label, _ in run.jobs.get(job, [])]
    for method in methods:
        registry.find("methods", method.method)
    for task in values.tasks:
        registry.find("tasks", task.task)
    for part in values.sources.values():
        registry.find("datasets", part.name)
    return run
