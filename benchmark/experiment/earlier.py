"""What finished runs have measured, as facts for the plans of others: from their score rows and their jobs' times.

The facts of a run, by `what`:

- of a method: "arm", seconds of an arm beside its training; "fold", seconds that the first arm of a fold takes more,
  since the others share what it has fitted; "FLOP/s" of training; "step FLOPs" and "step spots"; "memory" and "bytes";
- of a job: "start pretrain" and "start score", seconds of a process beside its work; "unit donor" and "unit within",
  seconds to score one task of one arm once, with donors held out or within slides;
- of the run: seconds of "prepare", "check", "leaderboard", "report", "track"; "tables", bytes beside arms and corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.core.config import Method
from benchmark.core.environments import ROOT
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json
from benchmark.core.scores import read_table
from benchmark.core.timing import read_times
from benchmark.experiment.facts import Fact

REFERENCE = ROOT / "results" / "reference"
ARM = ["label", "budget", "seed", "fold"]
ONCE = ("prepare", "check", "leaderboard", "report", "track")
NO_TASKS = ("arm", "cost", "objective")  # what rows of no task stand under
NEEDED = {"device": dict, "data": dict, "config": dict, "folds": dict, "arms": list}


def earlier(results: Path) -> list[Fact]:
    """The facts of all finished runs of a folder of results, and of the committed ones. A damaged run has none."""
    facts: list[Fact] = []
    for rank, manifests in enumerate((REFERENCE.rglob("manifest.json"), results.glob("*/manifest.json"))):
        for manifest in sorted(manifests):
            with suppress(UnitBenchError, KeyError, TypeError):
                facts += facts_of(manifest.parent, rank)
    return facts


def facts_of(folder: Path, rank: int = 1) -> list[Fact]:
    """The facts of one finished run.

    Raises:
        UnitBenchError: a file is missing or damaged.
    """
    manifest, rows = read_json(folder / "manifest.json", dict, NEEDED), read_table(folder / "scores.parquet")
    devices = {arm["device"] for arm in manifest["arms"]} - {"cpu", "mps"}
    here = {
        "machine": min(devices, default=manifest["device"]["processor"]),
        "dataset": manifest["data"]["name"],
        "source": _name(folder),
        "rank": rank,
    }
    made = partial(Fact, **here)
    used = {slide for fold in manifest["folds"].values() for side in ("learn", "fit", "test") for slide in fold[side]}
    sized = partial(made, spots=_spots(manifest["data"], used))
    rows = rows.rename(columns={"method": "label"})
    facts = [*_of_arms(_costs(rows, manifest["config"]), made, sized)]
    if (folder / "benchmarks").is_dir():
        facts += [*_of_jobs(folder, rows, made, sized), *_of_files(folder, manifest["config"], made, sized)]
    return facts


def _name(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)


def _spots(data: dict[str, Any], slides: set[str]) -> int:
    """Of some slides together. An older manifest has the sum of all alone: there each is an average one."""
    of_slides = data.get("spots_of_slides")
    return sum(of_slides[name] for name in slides) if of_slides else round(data["spots"] / data["slides"] * len(slides))


def _methods(config: dict[str, Any]) -> dict[str, Method]:
    """The entries of a config by their labels, in their order."""
    return {entry["label"]: Method.model_validate(entry) for entry in config["methods"]}


def _costs(rows: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """One row an arm that has finished, in the order in which they ran: what it cost, and its place in its job."""
    cost = rows[(rows["task"] == "cost") & (rows["status"] == "ok")].drop_duplicates([*ARM, "metric"])
    table = cost.pivot(index=ARM, columns="metric", values="value").reset_index()
    for name in ("device_seconds", "flops", "steps", "spots_seen", "peak_memory_bytes"):
        table[name] = table[name] if name in table else float("nan")
    methods = _methods(config)
    order = list(methods)
    table["method"] = [methods[label].method for label in table["label"]]
    table["options"] = [methods[label].canonical for label in table["label"]]
    table["trained"] = table["budget"] > 0
    table["position"] = table["label"].map(order.index)
    table["job"] = table["position"] // (config.get("methods_per_job") or 1)
    table["own"] = table["arm_seconds"] - table["device_seconds"].fillna(0)
    return table.sort_values(["fold", "position", "budget", "seed"], ignore_index=True)


def _of_arms(arms: pd.DataFrame, made: partial, sized: partial) -> Iterator[Fact]:
    for method, of_method in arms.groupby("method"):
        shared = _shared(of_method)
        yield sized("fold", shared.mean(), method=method)
        arms.loc[shared.index, "own"] -= shared
    for (method, options, trained), some in arms.groupby(["method", "options", "trained"]):
        what = {"method": method, "options": options, "trained": bool(trained)}
        yield sized("arm", some["own"].median(), **what)
        spent = some.dropna(subset=["flops", "device_seconds", "steps"])
        if trained and len(spent):
            steps = spent["steps"].sum()
            yield made("FLOP/s", spent["flops"].sum() / spent["device_seconds"].sum(), **what)
            yield made("step FLOPs", spent["flops"].sum() / steps, **what)
            yield made("step spots", spent["spots_seen"].sum() / steps, **what)
            yield made("memory", spent["peak_memory_bytes"].max(), **what)


def _shared(arms: pd.DataFrame) -> pd.Series:
    """Seconds that the first arm of each job takes more than the median of its entry's other arms there."""
    firsts, entry = arms.drop_duplicates(["fold", "job"]), ["fold", "job", "label"]
    others = arms.drop(firsts.index).groupby(entry)["own"].median().rename("others")
    usual = firsts.join(others, on=entry)["others"].fillna(firsts["own"])
    return (firsts["own"] - usual).clip(lower=0.0)


def _of_jobs(folder: Path, rows: pd.DataFrame, made: partial, sized: partial) -> Iterator[Fact]:
    names = [path.stem for path in (folder / "benchmarks").glob("*.tsv")]
    total, work = read_times(folder / "benchmarks", names)
    for name in names:
        step, _, job = name.partition(".")
        if step in ("pretrain", "score"):
            yield made(f"start {step}", total[name] - work[name])
        elif not job and step in ONCE:
            yield made(step, total[name])
    done = rows[(rows["status"] == "ok") & ~rows["task"].isin(NO_TASKS)]
    n_units = done.drop_duplicates([*ARM, "split", "task", "neighbours"])["split"].eq("donor").value_counts()
    for kind, of_donors in (("unit donor", True), ("unit within", False)):
        jobs = [name for name in names if name.startswith("score.") and name.startswith("score.all-") != of_donors]
        if n_units.get(of_donors) and jobs:
            yield sized(kind, sum(work[job] for job in jobs) / n_units[of_donors])


def _of_files(folder: Path, config: dict[str, Any], made: partial, sized: partial) -> Iterator[Fact]:
    methods = _methods(config)
    for path in sorted((folder / "jobs").glob("*.arms.json")):
        for record in read_json(path, list):
            entry, n_bytes = methods[record["method"]], sum(file["bytes"] for file in record.get("files", {}).values())
            what = {"method": entry.method, "options": entry.canonical, "trained": record["amount"] > 0}
            yield sized("bytes", n_bytes, **what)
    rest = [path for path in folder.rglob("*") if path.is_file()]
    rest = [path for path in rest if path.relative_to(folder).parts[0] not in ("arms", "corpus")]
    yield made("tables", sum(path.stat().st_size for path in rest))
