"""What stands for a unit where it comes in several sizes or settings: the best one, picked without flattery."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple, cast

import pandas as pd

from benchmark.core.declarations import declared
from benchmark.stats.completeness import complete
from benchmark.stats.contests import CONTEST, Contest, competes, select
from benchmark.stats.options import levels
from benchmark.stats.rows import BLOCK, ENTRANT, by_label, cells, comparable, rivals, scores

UNITS = ("spot", "patch", "slide")
BEST = "best size"  # the view in which each unit brings its best trunk; the others hold one trunk size
MATCH = [*Contest._fields, "size", "budget_axis", "budget"]  # the columns of a `Match` in tables


class Match(NamedTuple):
    """What units are compared in: a contest, one trunk size or `BEST`, and one budget."""

    contest: Contest
    size: str
    budget_axis: str
    budget: float

    @property
    def columns(self) -> tuple:
        """The values of the columns `MATCH`."""
        return (*self.contest, *self[1:])


class Champion(NamedTuple):
    """What stands for a unit.

    Attributes:
        scores: one row per (cluster, donor), one column per seed.
        picked: for each donor, the label whose scores these are.
        method: the label that is best over all donors.
        n_entrants: the number of labels that it was picked from.
        whole: whether it has every score of the contest; if not, no label of the unit has.
    """

    scores: pd.DataFrame
    picked: pd.Series
    method: str
    n_entrants: int
    whole: bool


Champions = dict[Match, dict[str, Champion]]


def champions(rows: pd.DataFrame) -> Champions:
    """For each contest, size and trained budget, the champion of each unit that was measured in it."""
    measured = scores(rows)
    whole = complete(rows, measured)
    measured = rivals(measured[(measured["unit"] != "none") & (measured["budget"] > 0)])
    views = {BEST: set(measured["method"])} | sizes(rows)
    matches: Champions = {}
    for contest, (size, labels) in product(contests(rows), views.items()):
        table = comparable(select(measured[measured["method"].isin(labels)], contest))
        for key, part in table.groupby(["budget_axis", "budget", "unit"]):
            axis, budget, unit = cast("tuple[str, float, str]", key)
            has_all = pd.MultiIndex.from_frame(part.index.to_frame()[[*CONTEST, *ENTRANT]]).isin(whole)
            best = champion(by_label(part[has_all] if has_all.any() else part), contest)
            best = best._replace(whole=bool(has_all.any()))
            matches.setdefault(Match(contest, size, axis, budget), {})[unit] = best
    return matches


def contests(rows: pd.DataFrame) -> list[Contest]:
    """The contests that units compete in and have scores in, in the order of tables."""
    measured = scores(rows[rows["split"] == "donor"])[list(Contest._fields)].drop_duplicates()
    held = [Contest._make(row) for row in measured.itertuples(index=False)]
    return sorted(
        filter(competes, held),
        key=lambda c: (declared(c.task).order, c.task, len(c.setting), c.setting, c.neighbours),
    )


def sizes(rows: pd.DataFrame) -> dict[str, set[str]]:
    """The labels of each trunk size (option `preset`), the smallest first; none if the run has one size."""
    labels = levels(rows, "preset").reset_index()
    if labels["level"].nunique() < 2:
        return {}
    by_size = labels.groupby("level", sort=False)["method"].agg(set)
    n_parameters = labels["method"].map(parameters(rows)).groupby(labels["level"]).mean()
    return {size: by_size[size] for size in n_parameters.sort_values(kind="stable").index}


def parameters(rows: pd.DataFrame) -> pd.Series:
    """Mean number of parameters of each label."""
    counted = rows[(rows["task"] == "cost") & (rows["metric"] == "parameters") & (rows["status"] == "ok")]
    return counted.groupby("method")["value"].mean()


def champion(entrants: pd.DataFrame, contest: Contest) -> Champion:
    """Pick among labels. A donor's scores are never used to pick the label that stands for the unit on that donor:
    it is the label that is best on the other donors. If there is one donor only, it is the best label on it.

    Labels are compared over the (donor, seed) that they all have. Of labels that have unequally many, only those with
    the most are picked from: a label that failed where scores are low must not win by that.

    Args:
        entrants: one row per (method, cluster, block), one column per seed.
    """
    every: pd.DataFrame = cells(entrants).unstack("method")
    n_scores = every.notna().sum(axis=0)
    every = every.loc[:, n_scores == n_scores.max()]
    shared = every.dropna() if len(every.dropna()) else every.iloc[:, :1].dropna()
    means = shared.groupby(BLOCK).mean()
    means = -means if contest.lower_is_better else means
    best = str(means.mean().idxmax())
    elsewhere: pd.DataFrame = means.sum() - means if len(means) > 1 else means
    blocks = every.dropna(how="all").groupby(BLOCK).size().index
    picked = elsewhere.idxmax(axis=1).reindex(blocks, fill_value=best)
    return Champion(at_labels(entrants, picked), picked, best, means.shape[1], True)


def at_labels(entrants: pd.DataFrame, picked: pd.Series) -> pd.DataFrame:
    """The scores of the label `picked` for each donor, NaN where it has none.

    Args:
        entrants: one row per (method, cluster, block), one column per seed.
        picked: (cluster, block) → label.

    Returns:
        One row per (cluster, block), one column per seed.
    """
    pairs = pd.MultiIndex.from_arrays(
        [picked, *(picked.index.get_level_values(name) for name in BLOCK)], names=["method", *BLOCK]
    )
    return entrants.reindex(pairs).droplevel("method")
