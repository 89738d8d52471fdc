"""What each step of the workflow depends on, beside the files that it reads. A change of it runs the step again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmark.core import registry
from benchmark.core.code import code_of, code_of_plugin
from benchmark.core.environments import find_environment
from benchmark.core.files import fingerprint
from benchmark.experiment.arms import folds
from benchmark.experiment.outputs import task_keys
from benchmark.training.machine import machine

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run

# The module that does the work of a step that serves all jobs, and of one that serves a job.
MODULES = {
    "prepare": "benchmark.data.prepare",
    "pretrain": "benchmark.experiment.fit",
    "score": "benchmark.experiment.score",
    "leaderboard": "benchmark.experiment.tables",
    "report": "benchmark.report.views",
    "track": "benchmark.experiment.tracked",
    "show": "benchmark.experiment.summary",
}


def depends(run: Run, step: str, job: str = "") -> dict[str, Any]:
    """All that a step depends on, other than its input files: settings, data, code, machine. JSON values.

    Args:
        job: the job of `pretrain` or `score`.
    """
    code = {"code": code_of(MODULES[step])}
    if step == "prepare":
        sources = run.config.sources.values()
        plugins = [code_of_plugin("datasets", part.name, part.options) for part in sources]
        asked = run.config.model_dump(mode="json", include={"dataset", "datasets"})
        return code | asked | {"record": fingerprint(run.dataset), "plugins": plugins}
    if step == "pretrain":
        return code | _of_fit(run, job)
    if step == "score":
        return code | _of_score(run)
    if step == "leaderboard":  # the manifest shows the whole config
        return code | {"config": run.config.model_dump(mode="json")}
    return code


def _of_fit(run: Run, job: str) -> dict[str, Any]:
    """A job in another environment depends on the recipe of that, and not on the version of PyTorch here."""
    by_name = folds(run.config, run.dataset["groups"], run.dataset.get("roles", {}))
    used = sorted({fold for _, fold in run.jobs[job]})
    here = machine(run.config.precision)
    environment = job.partition("@")[2]
    if environment:
        here["torch"] = find_environment(environment).recipe
    return {
        **here,
        **run.config.model_dump(mode="json", include={"budget", "seeds"}),
        "folds": {name: [by_name[name].learn, by_name[name].fit, by_name[name].test] for name in used},
        "methods": [_of_method(run, label) for label in dict.fromkeys(label for label, _ in run.jobs[job])],
        "tasks": task_keys(run.config),
    }


def _of_score(run: Run) -> dict[str, Any]:
    shared = run.config.model_dump(mode="json", include={"splits", "neighbours"})
    tasks = [
        task.model_dump(mode="json") | {"code": code_of_plugin("tasks", task.task, task.options)}
        for task in run.config.tasks
    ]
    return shared | {"dataset": run.dataset["name"], "tasks": tasks}


def _of_method(run: Run, label: str) -> dict[str, Any]:
    entry = run.config.method(label)
    plugin = registry.find("methods", entry.method)
    return entry.model_dump(mode="json") | {
        "plugin": f"{plugin.distribution} {plugin.version}",
        "code": code_of_plugin("methods", entry.method, entry.options),
    }
