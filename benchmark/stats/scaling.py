"""How what was learned, and the score, grow with the FLOPs of training: straight lines in logarithms."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.contests import Contest, select
from benchmark.stats.learned import PLACES, R2, matrix, objective
from benchmark.stats.rows import BLOCK, ENTRANT, Entrant, clusters, comparable, rivals, scores

LEAST = {"exponent": 3, "slope": 2}  # distinct FLOPs that a line needs
POINT = [*ENTRANT, "point"]
POINTS = [*POINT, "end", "flops", "value", "low", "high"]


class Law(NamedTuple):
    """A line through means over donors, and its 95% interval when donors (folds) and seeds are drawn anew.

    `at` is the value at `flops`, the middle of the points. NaN where there are too few distinct FLOPs.
    """

    n_flops: int
    slope: float
    low: float
    high: float
    flops: float
    at: float


def courses(rows: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """R² on the way of each training and at its end, by slide and seed.

    Args:
        rows: score rows; they tell the donor of each slide.
        curves: see `benchmark.core.curves`.

    Returns:
        The columns `POINT`, `PLACES`, seed, slide, flops, r2 and `end`. `point` numbers the points of an arm from 1.
    """
    told = objective(rows)
    slides = told[[*ENTRANT, *PLACES, "fold", "slide"]].drop_duplicates()
    points = curves[(curves["name"] == R2) & (curves["slide"] != "")].rename(columns={"value": R2})
    arm = [*ENTRANT, "dataset", "fold", "seed", "slide"]
    number = points.groupby(arm)["flops"].rank(method="first").astype(int)
    end = number == number.groupby([points[name] for name in arm]).transform("max")
    return points.assign(point=number, end=end).merge(slides, on=[*ENTRANT, "dataset", "fold", "slide"])


def means(course: pd.DataFrame) -> pd.DataFrame:
    """One row per entrant and point, the columns `POINTS`: FLOPs, and R² as the mean over donors with its interval.

    Args:
        course: `courses(rows, curves)`.
    """
    records = []
    for key, part in course.groupby(POINT):
        table = matrix(part, R2)
        values, names = table.to_numpy(), table.index.get_level_values("cluster").to_numpy()
        value = (intervals.mean(values), *intervals.bootstrap(values, names))
        records.append((*key, bool(part["end"].all()), part["flops"].mean(), *value))
    return pd.DataFrame(records, columns=POINTS)


def laws(course: pd.DataFrame) -> dict[str, Law]:
    """For each method the line of log₁₀(1 − R²) against log₁₀ FLOPs, over all points of all trained budgets. Its slope
    is the exponent of a power law: 1 − R² ~ FLOPs^slope."""
    found = {}
    for method, part in course[course["flops"] > 0].groupby("method"):
        points = [(of_point["flops"].mean(), matrix(of_point, R2)) for _, of_point in part.groupby(["budget", "point"])]
        found[str(method)] = line(points, lambda r2: np.log10(np.maximum(1 - r2, 1e-12)), LEAST["exponent"])
    return found


def slopes(rows: pd.DataFrame, contest: Contest) -> dict[str, Law]:
    """For each trained method the line of the score against log₁₀ FLOPs spent, over its trained budgets."""
    cost = rows[(rows["task"] == "cost") & (rows["metric"] == "flops") & (rows["status"] == "ok")]
    spent = {Entrant._make(key): float(part.mean()) for key, part in cost.groupby(ENTRANT)["value"]}
    table = comparable(rivals(scores(select(rows, contest))))
    points: dict[str, list] = {}
    for key, part in table.groupby(ENTRANT):
        entrant = Entrant._make(key)
        if entrant.unit != "none" and entrant in spent and spent[entrant] > 0:
            by_place = part.reset_index(["dataset", *BLOCK]).set_index(["dataset", *BLOCK])
            points.setdefault(entrant.method, []).append((spent[entrant], by_place))
    return {method: line(of_method, np.asarray, LEAST["slope"]) for method, of_method in points.items()}


def line(points: list[tuple[float, pd.DataFrame]], of: Callable[[np.ndarray], np.ndarray], least: int) -> Law:
    """The line of `of(mean)` against log₁₀ FLOPs, over the donors that have every point.

    Args:
        points: FLOPs, and the values there, one row per cluster and donor, one column per seed.
        least: how many distinct FLOPs it takes. FLOPs within 2% are one.
    """
    x = np.log10([flops for flops, _ in points])
    n_flops = len(np.unique(np.round(x, 2)))
    tables = [table.dropna(how="all") for _, table in points]
    places = [place for place in tables[0].index if all(place in table.index for table in tables)]
    if n_flops < least or not places:
        return Law(n_flops, *[np.nan] * 5)
    seeds = sorted(set().union(*(table.columns for table in tables)))
    values = [table.reindex(index=places, columns=seeds).to_numpy() for table in tables]
    weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    level = of(np.array([intervals.mean(value) for value in values]))
    low, high = np.nan, np.nan
    if values[0].size > 1:
        names = clusters(tables[0].loc[places])
        low, high = intervals.percentiles(weight @ of(np.stack([intervals.resampled(v, names) for v in values])))
    return Law(n_flops, float(weight @ level), low, high, float(10 ** x.mean()), float(level.mean()))
