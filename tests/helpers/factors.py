"""Score rows of a run whose methods vary an option, with the score of each arm given by a formula."""

import json
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from benchmark.core.scores import COLUMNS, Score

PARAMETERS = {"nano": 1e5, "mini": 4e5, "paper": 3e6}


def entry(method: str, unit: str, label: str = "", **options) -> dict:
    label = label or ".".join([method, *(f"{key}-{value}" for key, value in options.items())])
    return {"method": label, "unit": unit, "options": json.dumps({"method": method, **options}, sort_keys=True)}


def factor_rows(
    entries: list[dict],
    value: Callable[[dict], float],
    donors: str = "ABCDEFGH",
    seeds: tuple = (0, 1, 2),
    budgets: tuple = (0.0, 1e12, 4e12),
    neighbours: tuple = (0, 8),
    noise: float = 0.005,
    **measured,
) -> pd.DataFrame:
    """`value` is told an arm's unit, budget, neighbours, donor, seed and options; donors add an effect of their own."""
    rng = np.random.default_rng(0)
    base = {"dataset": "toy", "split": "donor", "budget_axis": "flops"}
    score = {"task": "domain", "setting": "knn", "metric": "macro_f1"} | measured
    rows = []
    for who, donor, seed in product(entries, donors, seeds):
        options = json.loads(who["options"])
        for budget in budgets if who["unit"] != "none" else (0.0,):
            arm = base | who | {"budget": budget, "seed": seed, "fold": donor}
            cost = {"split": "none", "setting": "pretraining"}
            rows.append(arm | cost | {"task": "arm", "metric": "status", "value": 1.0})
            size = PARAMETERS.get(options.get("preset"), 0.0)
            rows.append(arm | cost | {"task": "cost", "metric": "parameters", "value": size})
            for k in neighbours:
                told = {"unit": who["unit"], "budget": budget, "neighbours": k, "donor": donor, "seed": seed} | options
                found = value(told) + 0.05 * np.cos(ord(donor)) + rng.normal(0, noise)
                rows.append(arm | score | {"donor": donor, "slide": f"{donor}1", "neighbours": k, "value": found})
    return pd.DataFrame([Score(**row).model_dump() for row in rows], columns=COLUMNS)
