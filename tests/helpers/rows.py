"""Score rows like those of a small run: controls, three units, two splits, a failed arm, a task only units can do."""

import json
from itertools import product

import numpy as np
import pandas as pd

from benchmark.core.scores import COLUMNS, Score

DONORS = "ABCDEF"
SEEDS = (0, 1, 2)
BUDGETS = (0.0, 1e12, 4e12)
# method: (unit, macro-F1 with donors held out, gain per budget step, gain from the random split)
METHODS = {
    "coordinates": ("none", 0.15, 0.0, 0.62),
    "noise": ("none", 0.12, 0.0, 0.60),
    "random": ("none", 0.14, 0.0, 0.02),
    "pca": ("none", 0.30, 0.0, 0.18),
    "spot": ("spot", 0.25, 0.03, 0.15),
    "patch": ("patch", 0.24, 0.07, 0.25),
    "slide": ("slide", 0.22, 0.05, 0.40),
}
FAILED = {"method": "slide", "budget": 4e12, "fold": "C", "seed": 1}
OUT_OF_MEMORY = "out of memory: 9.1 GiB asked, 7.5 GiB free"


def entrants() -> list[tuple[str, str, float]]:
    """(method, unit, budget) of all entrants of `example_rows`."""
    return [
        (method, unit, budget)
        for method, (unit, *_) in METHODS.items()
        for budget in (BUDGETS if unit != "none" else (0.0,))
    ]


def example_rows() -> pd.DataFrame:
    """All score rows of the run."""
    rng = np.random.default_rng(0)
    rows = []
    for (method, unit, budget), fold, seed in product(entrants(), [*DONORS, "all"], SEEDS):
        arm = {
            "method": method,
            "options": json.dumps({"method": method}),
            "unit": unit,
            "budget": budget,
            "seed": seed,
            "dataset": "example",
        }
        arm |= {"budget_axis": "flops", "transductive": fold == "all"}
        arm |= {"split": "donor" if fold != "all" else "random", "fold": fold}
        status = arm | {"split": "none", "task": "arm", "setting": "pretraining", "metric": "status"}
        if FAILED.items() <= arm.items():
            failed = {"status": "failed", "reason": OUT_OF_MEMORY}
            rows += [status | failed, arm | {"task": "domain", "setting": "knn", "metric": "macro_f1"} | failed]
            continue
        rows.append(status | {"value": 1.0})
        rows += [arm | {"split": "none"} | row for row in _cost(unit, budget, rng)]
        _, base, gain, leak = METHODS[method]
        score = base + gain * BUDGETS.index(budget)
        if fold == "all":
            for repeat, donor in product(range(3), DONORS):
                place = {"fold": f"repeat {repeat}", "slide": f"{donor}1", "donor": donor}
                rows += [arm | row | place for row in _domain(score + leak, rng)]
        else:
            arm |= {"slide": f"{fold}1", "donor": fold}
            score += 0.08 * np.cos(ord(fold))
            rows += [arm | row for row in _domain(score, rng)]
            rows += [arm | row for row in _reconstruction(unit, score, rng)]
    return pd.DataFrame([Score(**row).model_dump() for row in rows], columns=COLUMNS)


def _domain(score, rng):
    for setting, neighbours, (metric, shift) in product(
        ("knn", "linear"), (0, 8), (("accuracy", 0.2), ("macro_f1", 0.0))
    ):
        value = float(np.clip(score + shift + 0.01 * neighbours + rng.normal(0, 0.02), 0, 1))
        yield {"task": "domain", "setting": setting, "neighbours": neighbours, "metric": metric, "value": value}
    yield {"task": "clustering", "setting": "kmeans", "metric": "ari", "value": score / 2 + rng.normal(0, 0.02)}


def _reconstruction(unit, score, rng):
    if unit == "none":
        yield {
            "task": "reconstruction",
            "setting": "hole 4",
            "metric": "pearson",
            "status": "not applicable",
            "reason": "the method does not reconstruct",
        }
        return
    yield {"task": "reconstruction", "setting": "hole 4", "metric": "pearson", "value": score / 2}
    yield {"task": "reconstruction", "setting": "hole 4", "metric": "mse", "value": 1 - score + rng.normal(0, 0.02)}


def _cost(unit, budget, rng):
    spots = budget / 4e7 * (1 if unit == "spot" else 0.5)
    values = {
        "flops": budget * 0.99,
        "flops_target": budget,
        "device_seconds": budget / 5e10 * rng.uniform(0.9, 1.1),
        "spots_seen": spots,
        "epochs": spots / 1800,
        "steps": spots / 256,
        "parameters": 0.0 if unit == "none" else 1.2e6,
        "peak_memory_bytes": 4e8,
    }
    for metric, value in values.items():
        yield {"task": "cost", "setting": "pretraining", "metric": metric, "value": value}
    yield {
        "task": "cost",
        "setting": "pretraining",
        "metric": "energy_joules",
        "status": "not applicable",
        "reason": "no energy counter on this device",
    }


def example_predictions() -> pd.DataFrame:
    """Two slides of hexagonally packed spots in three bands. Each method errs as often as its score says."""
    rng = np.random.default_rng(1)
    names = np.array(["tumour", "stroma", "fat"])
    y, x = (axis.ravel().astype(float) for axis in np.mgrid[0:14, 0:16])
    band = np.digitize(y + 2 * np.sin(x / 3), [4.5, 9.5])
    tables = []
    for donor, (method, _, budget) in product("AB", entrants()):
        right = METHODS[method][1] + 0.3 + METHODS[method][2] * BUDGETS.index(budget)
        guess = np.where(rng.random(len(y)) < right, band, rng.integers(0, 3, len(y)))
        label = np.where(rng.random(len(y)) < 0.05, None, names[band])
        columns = {"slide": f"{donor}1", "donor": donor, "y": y * 0.87, "x": x + (y % 2) / 2, "label": label}
        tables.append(pd.DataFrame(columns | {"method": method, "budget": budget, "prediction": names[guess]}))
    return pd.concat(tables, ignore_index=True)


def grid_rows(values: dict[tuple, float], factors: dict[str, list], **other) -> pd.DataFrame:
    """Primary scores of a patch grid, with the status of every arm.

    Args:
        values: (a level of each factor, donor, seed) → score; None is an arm that failed.
        factors: option → its levels.
    """
    rows = []
    for (*levels, donor, seed), value in values.items():
        options = dict(zip(factors, levels, strict=True))
        arm = {"dataset": "grid", "method": "patch" + "".join(f".{level}" for level in levels), "unit": "patch"}
        arm |= {"options": json.dumps({"method": "patch", **options}, sort_keys=True), "fold": donor, "seed": seed}
        arm |= {"budget_axis": "flops", "budget": 1e12, **other}
        score = arm | {"split": "donor", "task": "domain", "setting": "knn", "metric": "macro_f1"}
        status = arm | {"split": "none", "task": "arm", "setting": "pretraining", "metric": "status"}
        if value is None:
            failed = {"status": "failed", "reason": OUT_OF_MEMORY}
            rows += [score | failed, status | failed]
        else:
            rows += [score | {"slide": f"{donor}1", "donor": donor, "value": value}, status | {"value": 1.0}]
    return pd.DataFrame([Score(**row).model_dump() for row in rows], columns=COLUMNS)


def finished_run(dataset: str) -> pd.DataFrame:
    """The example's rows as a run of today has them, on a dataset of this name: with data hash and protocol ids."""
    rows, rng = example_rows(), np.random.default_rng(sum(map(ord, dataset)))
    scored = ~rows["task"].isin(["arm", "cost"])
    value = rows["value"].where(~scored, rows["value"] + rng.normal(0, 0.05, len(rows)))
    protocol = (rows["task"] + rows["split"]).map(lambda text: f"{sum(map(ord, text)):012x}")
    return rows.assign(dataset=dataset, data=f"{dataset:0<12}", value=value, protocol=protocol.where(scored, ""))


BASE = {"dataset": "toy", "split": "donor", "unit": "none", "budget_axis": "flops", "budget": 0.0}
BASE |= {"task": "domain", "setting": "knn", "metric": "macro_f1"}


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame([Score(**BASE | row).model_dump() for row in rows], columns=COLUMNS)


def measured(method: str, values: dict[tuple[str, str, int], float], **other) -> list[dict]:
    """`values`: (donor, slide, seed) → value."""
    return [
        {"method": method, "fold": donor, "donor": donor, "slide": slide, "seed": seed, "value": value} | other
        for (donor, slide, seed), value in values.items()
    ]
