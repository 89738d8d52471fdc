"""What this machine and this installation can do: one line a check, with the remedy where something is amiss."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from benchmark.core.environments import find_environment
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import GROUPS, plugins

REINSTALL = 'pip install -c constraints.txt -e ".[dev]"'
ENOUGH = 5e9  # bytes: her2st's embeddings and weights with room to spare


class Check(NamedTuple):
    """`remedy` is empty where all is well; nothing runs without what is `needed`."""

    name: str
    found: str
    remedy: str = ""
    needed: bool = False


def checks(results: Path) -> Iterator[Check]:
    """All checks, each made when it is asked for; `results` is where a run would write."""
    yield Check("python", f"{platform.python_version()}, {sys.executable}")
    yield packages()
    yield device()
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Check("cores", f"{os.cpu_count()}, OMP_NUM_THREADS {threads}; Snakemake gives each job one")
    yield data()
    yield disk(results.resolve())
    yield conda()
    yield from environments()
    telemetry = os.environ.get("MLFLOW_DISABLE_TELEMETRY", "").lower() != "true"
    yield Check("MLflow telemetry", *(("on", "export MLFLOW_DISABLE_TELEMETRY=true") if telemetry else ("off",)))
    yield from broken_plugins()


def packages() -> Check:
    """Every required package is there, in a version that fits, and can be imported."""
    modules = {name.lower(): module for module, names in packages_distributions().items() for name in names}
    required = [need for need in map(Requirement, requires("unitbench")) if not need.marker or need.marker.evaluate()]
    amiss = []
    for need in required:
        try:
            if not need.specifier.contains(version(need.name), prereleases=True):
                amiss.append(f"{need.name} {version(need.name)} is not {need.specifier}")
            import_module(modules[need.name.lower()])
        except PackageNotFoundError:
            amiss.append(f"{need.name} is missing")
        except Exception as error:
            amiss.append(f"{need.name} fails to import ({type(error).__name__}: {error})")
    if amiss:
        return Check("packages", "; ".join(amiss), REINSTALL, needed=True)
    return Check("packages", f"all {len(required)} are there; Snakemake {version('snakemake')}")


def device() -> Check:
    import torch

    from benchmark.training.step import precision

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    amx = "with AMX" if getattr(torch.cpu, "_is_amx_tile_supported", bool)() else "no AMX"
    return Check("device", f"{name} ({amx}), torch {torch.__version__}, precision auto is {precision('auto')}")


def data() -> Check:
    folder = os.environ.get("UNITBENCH_DATA")
    if not folder:
        return Check("data", "UNITBENCH_DATA is not set: real tissue is downloaded when a config asks for it")
    if not Path(folder).is_dir():
        return Check("data", f"UNITBENCH_DATA={folder}: no such folder", "correct it, or unset it to download")
    return Check("data", f"UNITBENCH_DATA={folder}: {', '.join(sorted(os.listdir(folder)))}")


def disk(results: Path) -> Check:
    free = shutil.disk_usage(next(place for place in (results, *results.parents) if place.exists())).free
    remedy = "" if free > ENOUGH else "free some space, or choose another --results"
    return Check("disk", f"{free / 1e9:.0f} GB free for {results}", remedy)


def conda() -> Check:
    if where := shutil.which("conda"):
        return Check("conda", f"{where}: `snakemake --use-conda` makes an environment for the rules")
    return Check(
        "conda",
        "not on PATH: `snakemake --use-conda` would fail; without the flag rules run in this environment, and methods "
        "that need another one in a venv that the workflow makes",
    )


def environments() -> Iterator[Check]:
    """A line for each environment that some method needs."""
    needed: dict[str, list[str]] = {}
    for plugin in plugins("methods").values():
        if plugin.environment:
            needed.setdefault(plugin.environment, []).append(plugin.name)
    for name, methods in sorted(needed.items()):
        try:
            place = find_environment(name)
        except UnitBenchError as error:
            yield Check(f"environment {name}", f"of {', '.join(methods)}: {error.where}, {error.cause}", error.remedy)
            continue
        state = f"made, {place.venv}" if place.made else f"not made; a run that needs it makes {place.venv}"
        yield Check(f"environment {name}", f"of {', '.join(methods)}: {state}")


def broken_plugins() -> Iterator[Check]:
    for kind in GROUPS:
        for plugin in plugins(kind).values():
            try:
                plugin.load()
            except UnitBenchError as error:
                yield Check(f"{kind[:-1]} {plugin.name}", error.cause, error.remedy)
