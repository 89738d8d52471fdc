"""Score rows of a run whose methods vary an option. A formula gives the score of each arm."""

import json
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from benchmark.core.curves import ARM, curve_table
from benchmark.core.scores import COLUMNS, Score

PARAMETERS = {"nano": 1e5, "mini": 4e5, "paper": 3e6}


def entry(method: str, unit: str, label: str = "", **options) -> dict:
    """The columns of an entrant: its label, unit and options."""
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
    """Score rows of all arms.

    Args:
        value: gives the score of an arm from its unit, budget, neighbours, donor, seed and options. Each donor adds an
            effect, and noise is added.
        measured: columns of the score that replace macro-F1 of the k-NN in the task domain.
    """
    rng = np.random.default_rng(0)
    base = {"dataset": "toy", "split": "donor", "budget_axis": "flops"}
    score = {"task": "domain", "setting": "knn", "metric": "macro_f1"} | measured
    rows = []
    for entrant, donor, seed in product(entries, donors, seeds):
        options = json.loads(entrant["options"])
        for budget in budgets if entrant["unit"] != "none" else (0.0,):
            arm = base | entrant | {"budget": budget, "seed": seed, "fold": donor}
            cost = {"split": "none", "setting": "pretraining"}
            rows.append(arm | cost | {"task": "arm", "metric": "status", "value": 1.0})
            size = PARAMETERS.get(options.get("preset"), 0.0)
            rows.append(arm | cost | {"task": "cost", "metric": "parameters", "value": size})
            for k in neighbours:
                known = {"unit": entrant["unit"], "budget": budget, "neighbours": k, "donor": donor, "seed": seed}
                macro_f1 = value(known | options) + 0.05 * np.cos(ord(donor)) + rng.normal(0, noise)
                rows.append(arm | score | {"donor": donor, "slide": f"{donor}1", "neighbours": k, "value": macro_f1})
    return pd.DataFrame([Score(**row).model_dump() for row in rows], columns=COLUMNS)


def objective_rows(
    entries: list[dict],
    told: Callable[[dict], dict[str, float]],
    donors: str = "ABCDEFGH",
    seeds: tuple = (0, 1, 2),
    budgets: tuple = (0.0, 1e12, 4e12),
    folds: int = 8,
) -> pd.DataFrame:
    """What methods tell of their objective on one slide a donor.

    Args:
        told: gives R² by predictor from the method, budget, donor and seed of an arm.
        folds: over how many folds the donors are dealt out.
    """
    base = {"dataset": "toy", "split": "none", "budget_axis": "flops", "task": "objective", "setting": "pretraining"}
    rows = []
    for entrant, (number, donor), seed, budget in product(entries, enumerate(donors), seeds, budgets):
        arm = base | entrant | {"budget": budget, "seed": seed, "fold": f"fold{number % folds}"}
        arm |= {"donor": donor, "slide": f"{donor}1"}
        rows += [arm | {"metric": metric, "value": value} for metric, value in told(arm).items()]
    return pd.DataFrame([Score(**row).model_dump() for row in rows], columns=COLUMNS)


def course_table(rows: pd.DataFrame, r2: Callable[[dict, float], float], shares: tuple = (0.25, 0.5, 1.0)):
    """The courses of the trainings behind `objective_rows`: R² from the arm and the FLOPs spent."""
    arms = rows[(rows["metric"] == "r2") & (rows["budget"] > 0)][[*ARM, "slide", "donor"]].to_dict("records")
    return curve_table(
        arm | {"flops": share * arm["budget"], "name": "r2", "value": r2(arm, share * arm["budget"])}
        for arm in arms
        for share in shares
    )
