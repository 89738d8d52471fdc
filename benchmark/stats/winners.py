"""Which unit wins at which budget, on which task: the best of each unit, paired over the same donors and seeds."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.stats import intervals
from benchmark.stats.comparisons import PAIRED, corrected, paired
from benchmark.stats.contests import CONTEST, Contest, competes, select
from benchmark.stats.options import levels
from benchmark.stats.rows import ENTRANT, cells, rivals, scores

UNITS = ("spot", "patch", "slide")
BEST = "best size"  # the view in which each unit brings its best trunk; the others hold one trunk size
AT = [*Contest._fields, "size", "budget_axis", "budget"]


class Champion(NamedTuple):
    """What stands for a unit: `cells` with a row a donor and a column a seed, the label `picked` for each donor, the
    label best over all donors, and of how many labels it was picked."""

    cells: pd.DataFrame
    picked: pd.Series
    method: str
    n_entrants: int


def contests(rows: pd.DataFrame) -> list[Contest]:
    """What the tasks' first metrics were measured by with donors held out: a contest a setting and smoothing."""
    measured = scores(rows[rows["split"] == "donor"])[list(Contest._fields)].drop_duplicates()
    found = [Contest(*row) for row in measured.itertuples(index=False)]
    return sorted(
        filter(competes, found),
        key=lambda c: (declared(c.task).order, c.task, len(c.setting), c.setting, c.neighbours),
    )


def sizes(rows: pd.DataFrame) -> dict[str, set[str]]:
    """The labels of each trunk size (option `preset`), the smallest first; none if the run has one size."""
    found = levels(rows, "preset").reset_index()
    if found["level"].nunique() < 2:
        return {}
    labels = found.groupby("level", sort=False)["method"].agg(set)
    smallest_first = found["method"].map(parameters(rows)).groupby(found["level"]).mean().sort_values(kind="stable")
    return {size: labels[size] for size in smallest_first.index}


def champion(entrants: pd.DataFrame, contest: Contest) -> Champion:
    """Pick among labels without looking at the donor that is scored: each donor's row is that of the label which is
    best on the other donors. A donor that stands alone is scored by the best label on it.

    Args:
        entrants: a row a (method, block), a column a seed.
    """
    means = entrants.mean(axis=1).unstack("method")
    means = -means if contest.lower_is_better else means
    best = means.mean().idxmax()
    n_others = means.notna().sum() - means.notna()
    elsewhere = (means.sum() - means.fillna(0)) / n_others.where(n_others > 0)
    picked = elsewhere.fillna(-np.inf).idxmax(axis=1).where(elsewhere.notna().any(axis=1), best)
    return Champion(at_labels(entrants, picked), picked, best, means.shape[1])


def at_labels(entrants: pd.DataFrame, picked: pd.Series) -> pd.DataFrame:
    """The cells of the label `picked` for each donor, NaN where it has none: a row a donor, a column a seed."""
    places = pd.MultiIndex.from_arrays([picked, picked.index], names=["method", "block"])
    return entrants.reindex(places).droplevel("method")


def by_label(table: pd.DataFrame) -> pd.DataFrame:
    """`leaderboard.cells` of one contest and budget with a row a (method, block)."""
    return table.droplevel([name for name in (*CONTEST, *ENTRANT) if name != "method"])


def champions(rows: pd.DataFrame) -> dict[tuple, dict[str, Champion]]:
    """For each contest, size and trained budget (a key of `AT`), the champion of each unit that was measured there."""
    measured = scores(rivals(rows[(rows["unit"] != "none") & (rows["budget"] > 0)]))
    views = {BEST: set(measured["method"])} | sizes(rows)
    found = {}
    for contest, (size, labels) in product(contests(rows), views.items()):
        table = cells(select(measured[measured["method"].isin(labels)], contest))
        for (axis, budget, unit), its in table.groupby(["budget_axis", "budget", "unit"]):
            found.setdefault((*contest, size, axis, budget), {})[unit] = champion(by_label(its), contest)
    return found


def standings(found: dict[tuple, dict[str, Champion]]) -> pd.DataFrame:
    """One row a unit in each place of `champions`: its score with an interval, and what stands for it."""
    records = [
        (*at, unit, best.method, best.n_entrants, intervals.mean(values), *intervals.bootstrap(values))
        for at, units in found.items()
        for unit, best in units.items()
        for values in [best.cells.to_numpy()]
    ]
    return pd.DataFrame(records, columns=[*AT, "unit", "method", "n_entrants", "value", "low", "high"])


def winners(found: dict[tuple, dict[str, Champion]]) -> pd.DataFrame:
    """One row a place of `champions` that two units or more have reached: first, second, and whether the first wins.

    `difference` with its interval is that of the first and the second. The first wins if it beats every other unit:
    `p` is the largest of its sign-flip tests over donors, corrected by Holm over the budgets of a contest and size.
    """
    records = []
    for at, units in found.items():
        contest = Contest(*at[: len(Contest._fields)])
        sign = -1 if contest.lower_is_better else 1
        order = sorted(units, key=lambda unit: -sign * intervals.mean(units[unit].cells.to_numpy()))
        if len(order) > 1:
            against = [paired(units[order[0]].cells, units[other].cells, contest) for other in order[1:]]
            difference, low, high, n_donors, _ = against[0]
            p = max(p if difference > 0 else 1.0 for difference, *_, p in against)
            records.append((*at, *order[:2], difference, low, high, n_donors, p))
    table = pd.DataFrame(records, columns=[*AT, "first", "second", *PAIRED])
    table = corrected(table, *Contest._fields, "size", "budget_axis")
    won = table["first"] + " wins"
    lost = table["verdict"].replace("no clear difference", "no clear winner")
    return table.assign(verdict=won.where(table["verdict"] == "better", lost))


def parameters(rows: pd.DataFrame) -> pd.Series:
    """Mean number of parameters of each label."""
    counted = rows[(rows["task"] == "cost") & (rows["metric"] == "parameters") & (rows["status"] == "ok")]
    return counted.groupby("method")["value"].mean()


def iso_flop(rows: pd.DataFrame, standing: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The standings of one contest at each trunk size, with `parameters`: of the label that stands for the unit."""
    fixed = select(standing, contest)
    fixed = fixed[fixed["size"] != BEST]
    found = fixed.assign(parameters=fixed["method"].map(parameters(rows)).astype(float)).dropna(subset="parameters")
    return found.sort_values(["unit", "budget", "parameters"], ignore_index=True)
