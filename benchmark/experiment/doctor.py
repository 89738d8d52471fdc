"""What this machine and this installation can do: one line a check, with a remedy where something is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement

from benchmark.core.environments import find_environment
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import plugins
from benchmark.experiment import slurm
from benchmark.experiment.plugins import listed

if TYPE_CHECKING:
    from rich.console import Console

REINSTALL = 'pip install -c constraints.txt -e ".[dev]"'
ENOUGH = 5e9  # bytes: more than the embeddings and weights of her2st take


class Check(NamedTuple):
    """`remedy` is empty where all is well. Where a check is `needed`, nothing runs without it."""

    name: str
    finding: str
    remedy: str = ""
    needed: bool = False


def show(results: Path, console: Console) -> bool:
    """Print all checks, each as soon as it is made.

    Args:
        results: the folder where a run would write.

    Returns:
        Whether a run can begin.
    """
    ready = True
    for check in checks(results):
        mark = "[green]ok  [/]" if not check.remedy else "[red]bad [/]" if check.needed else "[yellow]warn[/]"
        console.print(mark, end=" ")
        line = f"{check.name}: {check.finding}" + (f" → {check.remedy}" if check.remedy else "")
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        ready &= not (check.needed and check.remedy)
    return ready


def checks(results: Path) -> Iterator[Check]:
    """All checks."""
    yield Check("python", f"{platform.python_version()}, {sys.executable}")
    yield packages()
    yield device()
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Check("cores", f"{os.cpu_count()}, OMP_NUM_THREADS {threads}; Snakemake gives each job one")
    yield data()
    yield disk(results.resolve())
    yield conda()
    yield Check("slurm", *slurm.finding())
    yield from environments()
    yield telemetry()
    yield from broken_plugins()


def packages() -> Check:
    """Whether every required package is installed, in a version that fits, and can be imported."""
    modules = {name.lower(): module for module, names in packages_distributions().items() for name in names}
    requirements = map(Requirement, requires("unitbench") or [])
    required = [package for package in requirements if not package.marker or package.marker.evaluate()]
    faults = []
    for package in required:
        try:
            if not package.specifier.contains(version(package.name), prereleases=True):
                faults.append(f"{package.name} {version(package.name)} is not {package.specifier}")
            import_module(modules[package.name.lower()])
        except PackageNotFoundError:
            faults.append(f"{package.name} is missing")
        except Exception as error:
            faults.append(f"{package.name} fails to import ({type(error).__name__}: {error})")
    if faults:
        return Check("packages", "; ".join(faults), REINSTALL, needed=True)
    return Check("packages", f"all {len(required)} are installed; Snakemake {version('snakemake')}")


def device() -> Check:
    """Where methods train, and with which precision."""
    import torch

    from benchmark.training.machine import machine

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return Check("device", f"{name}, torch {torch.__version__}, precision auto is {machine('auto')['precision']}")


def data() -> Check:
    """Where real tissue is read from."""
    folder = os.environ.get("UNITBENCH_DATA")
    if not folder:
        return Check("data", "UNITBENCH_DATA is not set: real tissue is downloaded when a config asks for it")
    if not Path(folder).is_dir():
        return Check("data", f"UNITBENCH_DATA={folder}: no such folder", "correct it, or unset it to download")
    return Check("data", f"UNITBENCH_DATA={folder}: {', '.join(sorted(os.listdir(folder)))}")


def disk(results: Path) -> Check:
    """Whether the disk has room for a run."""
    free = shutil.disk_usage(next(folder for folder in (results, *results.parents) if folder.exists())).free
    remedy = "" if free > ENOUGH else "free disk space, or choose another --results"
    return Check("disk", f"{free / 1e9:.0f} GB free for {results}", remedy)


def conda() -> Check:
    """Whether `snakemake --use-conda` would work."""
    if program := shutil.which("conda"):
        return Check("conda", f"{program}: `snakemake --use-conda` makes an environment for the rules")
    return Check(
        "conda",
        "not on PATH: `snakemake --use-conda` would fail; without the flag rules run in this environment, and methods "
        "that need another one run in a venv that the workflow makes",
    )


def environments() -> Iterator[Check]:
    """A line for each environment that some method needs."""
    needed: dict[str, list[str]] = {}
    for plugin in plugins("methods").values():
        if plugin.environment:
            needed.setdefault(plugin.environment, []).append(plugin.name)
    for name, methods in sorted(needed.items()):
        try:
            environment = find_environment(name)
        except UnitBenchError as error:
            yield Check(f"environment {name}", f"of {', '.join(methods)}: {error.where}, {error.cause}", error.remedy)
            continue
        state = f"made, {environment.venv}"
        if not environment.made:
            state = f"not made; a run that needs it makes {environment.venv}"
        yield Check(f"environment {name}", f"of {', '.join(methods)}: {state}")


def telemetry() -> Check:
    """Whether MLflow may send usage data."""
    if os.environ.get("MLFLOW_DISABLE_TELEMETRY", "").lower() == "true":
        return Check("MLflow telemetry", "off")
    return Check("MLflow telemetry", "on", "export MLFLOW_DISABLE_TELEMETRY=true")


def broken_plugins() -> Iterator[Check]:
    """A line for each plugin that cannot be loaded."""
    for plugin, _, fault in listed():
        if fault:
            yield Check(f"{plugin.kind[:-1]} {plugin.name}", fault, f"repair or uninstall {plugin.distribution}")
