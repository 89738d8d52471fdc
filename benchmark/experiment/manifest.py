"""What made a leaderboard: code, versions, data, device, config, and which slides each fold has seen."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmark.core.files import fingerprint, sha256
from benchmark.data.corpus import open_corpus
from benchmark.experiment.layout import Run
from benchmark.experiment.records import read_records

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "anndata", "scanpy", "lightning-fabric", "snakemake", "mlflow")


def manifest(run: Run) -> dict:
    """All of it, as JSON. Raises UnitBenchError: a job has no records yet."""
    record = open_corpus(run.corpus).record
    arms = [arm for job in run.jobs for arm in read_records(run, job)]
    return {
        "code": _git() | {"unitbench": version("unitbench"), "constraints": _constraints()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "device": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "data": {key: record[key] for key in ("name", "title", "source", "licence", "citation") if key in record}
        | {
            "slides": len(record["slides"]),
            "spots": sum(slide["n_spots"] for slide in record["slides"].values()),
            "genes": len(record["genes"]),
            "genes_in_any_slide": record["n_genes_union"],
            "sha256": fingerprint({name: slide["sha256"] for name, slide in record["slides"].items()}),
            "lattice": {name: slide["lattice"] for name, slide in record["slides"].items()},
        },
        "folds": {arm["fold"]: arm["seen"] for arm in arms},
        "plugins": sorted({f"{arm['method']}: {arm['plugin']}" for arm in arms}),
        "config": run.config.model_dump(mode="json"),
    }


def _git() -> dict:
    """The commit of the working folder, and whether it has changes. Empty outside a checkout."""

    def ask(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _constraints() -> str | None:
    return sha256(Path("constraints.txt")) if Path("constraints.txt").exists() else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
