"""What made a leaderboard: code, versions, data, device, config, and which slides each fold has seen."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.environments import ROOT, checkout
from benchmark.core.files import fingerprint, sha256
from benchmark.data.corpus import open_corpus
from benchmark.experiment.records import read_records

if TYPE_CHECKING:
    from benchmark.experiment.layout import Run

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "anndata", "scanpy", "lightning-fabric", "snakemake", "mlflow")
MADE_BY = ("code", "commit", "unitbench", "torch", "device", "precision")  # of an arm, as its record has them


def manifest(run: Run) -> dict:
    """All of it, as JSON. `code`, `versions` and `device` are those that wrote the tables, `arms` those of the arms.

    Raises:
        UnitBenchError: a job has no records yet.
    """
    corpus = open_corpus(run.corpus)
    record = corpus.record
    arms = [arm for job in run.jobs for arm in read_records(run, job)]
    return {
        "code": checkout() | {"unitbench": version("unitbench"), "constraints": _constraints()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "device": {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()},
        "data": {key: record[key] for key in ("name", "title", "source", "licence", "citation") if key in record}
        | {
            "slides": len(record["slides"]),
            "spots": sum(slide["n_spots"] for slide in record["slides"].values()),
            "genes": len(record["genes"]),
            "genes_in_every_slide": int(corpus.common.sum()),
            "sha256": fingerprint({name: slide["sha256"] for name, slide in record["slides"].items()}),
            "spots_of_slides": {name: slide["n_spots"] for name, slide in record["slides"].items()},
            "lattice": {name: slide["lattice"] for name, slide in record["slides"].items()},
        },
        "arms": groups_of(arms),
        "arms_differ_in": differences(arms),
        "folds": {arm["fold"]: arm["seen"] for arm in arms},
        "plugins": sorted({f"{arm['method']}: {arm['plugin']}" for arm in arms}),
        "config": run.config.model_dump(mode="json"),
    }


def groups_of(arms: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The arms that were fitted alike, as one entry: code, commit, machine, the methods, and how many arms."""
    groups: dict[str, dict[str, Any]] = {}
    for arm in arms:
        alike = {name: arm.get(name) for name in MADE_BY}
        group = groups.setdefault(fingerprint(alike), {**alike, "methods": [], "arms": 0})
        group["arms"] += 1
        group["methods"] = sorted({*group["methods"], arm["method"]})
    return sorted(groups.values(), key=lambda group: group["methods"])


def differences(arms: Iterable[Mapping[str, Any]]) -> list[str]:
    """In what the arms differ, of what should be one for all; their code should be one for all arms of a method."""
    seen: dict[str, dict[str, set]] = {name: {} for name in MADE_BY}
    for arm in arms:
        for name, values in seen.items():
            values.setdefault(arm["method"] if name == "code" else "", set()).add(arm.get(name))
    return [name for name, values in seen.items() if any(len(found) > 1 for found in values.values())]


def _constraints() -> str | None:
    file = ROOT / "constraints.txt"
    return sha256(file) if file.exists() else None


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
