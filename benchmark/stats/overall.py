"""Units over many datasets: each one's champion at each budget, against the best of what is in use today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.champions import BEST, UNITS, Champion, Champions, champions
from benchmark.stats.comparisons import PAIRED, paired
from benchmark.stats.completeness import complete
from benchmark.stats.contests import Contest, select
from benchmark.stats.correction import corrected
from benchmark.stats.learned import NOT_LEARNED, learned
from benchmark.stats.rows import BLOCK, ENTRANT, by_label, clusters, comparable, scores
from benchmark.stats.summary import NO_SCORES
from benchmark.stats.winners import winners

NOT_MATCHED = "not compute-matched"  # in the reason of a reference: a released model, embeddings made elsewhere
PLACE = ["dataset", "budget_axis", "budget"]
COLUMNS = [*PLACE, "unit", "method", "taught", "value", "value_low", "value_high", "rival", "rival_value"]
AT = [*PLACE[1:], "unit"]
BETTER = "better"


class Overall(NamedTuple):
    """What units reach on each dataset. The verdict on a unit whose champion did not learn its objective says so.

    Attributes:
        units: one row per dataset, budget and unit where two units or more met: `method` is its champion, `taught` is
            False if that did not learn its objective, `value` with its interval, `rival` the best of today with its
            value, and the columns `PAIRED` of the difference between the two.
        won: `winners` of the contest, one row per dataset and budget.
        pooled: the columns `PAIRED` of the same difference over the donors of all datasets of a budget, one row per
            budget and unit, and `n_datasets`. Only of datasets on which all units of that budget met.
    """

    units: pd.DataFrame
    won: pd.DataFrame
    pooled: pd.DataFrame


def overall(rows: pd.DataFrame, contest: Contest, tissue: Mapping[str, str]) -> Overall:
    """All of it, corrected together.

    Args:
        rows: score rows of several datasets.
        contest: what units are compared by.
        tissue: dataset → what it is a table of. Intervals over datasets draw these: two tables of one are not
            independent.
    """
    part = rows[(rows[list(Contest._fields)] == contest).all(axis=1) | rows["task"].isin(NO_SCORES)]
    units, won, pairs = [], [], []
    for dataset, here in part.groupby("dataset"):
        matches = {m: met for m, met in champions(here).items() if m.contest == contest and m.size == BEST}
        found, met = _units(str(dataset), here, contest, matches)
        units += found
        pairs += met
        won.append(winners(matches).assign(dataset=dataset))
    table = pd.DataFrame(units, columns=[*COLUMNS, *PAIRED])
    table["clear"] = np.where(table["difference"] > 0, BETTER, "worse")
    against, decided = corrected(table, pd.concat([part for part in won if len(part)] or won[:1], ignore_index=True))
    idle = pd.MultiIndex.from_frame(against.loc[~against["taught"].astype(bool), [*PLACE, "unit"]])
    for of_unit, unit in ((against, "unit"), (decided, "first")):
        silent = pd.MultiIndex.from_frame(of_unit[[*PLACE, unit]]).isin(idle)
        of_unit["verdict"] = of_unit["verdict"].mask(silent, NOT_LEARNED)
    return Overall(against, decided, _pooled(pairs, contest, tissue))


def today(rows: pd.DataFrame, contest: Contest) -> tuple[str, pd.DataFrame] | None:
    """The best complete entrant of what is in use today, and its scores: a method without a unit, or one whose compute
    is not matched, such as a released model or a peer that trains as long as its package has it. None where there is
    none. It is picked by the scores that it is compared by, which favours it."""
    measured = scores(select(rows, contest))
    outside = measured["reference"].str.contains(NOT_MATCHED, regex=False)
    kept = measured[((measured["unit"] == "none") & (measured["reference"] == "")) | outside]
    whole = complete(rows, measured)
    table = comparable(kept)
    table = table[pd.MultiIndex.from_frame(table.index.to_frame()[whole.names]).isin(whole)]
    by_entrant = {str(label): by_label(part).droplevel("method") for label, part in table.groupby("method")}
    sign = -1 if contest.lower_is_better else 1
    best = max(by_entrant, key=lambda label: sign * intervals.mean(by_entrant[label].to_numpy()), default=None)
    return None if best is None else (best, by_entrant[best])


def _units(dataset: str, rows: pd.DataFrame, contest: Contest, matches: Champions) -> tuple[list[tuple], list[tuple]]:
    """The rows of `Overall.units` of one dataset; and (dataset, axis, budget, unit, scores, rival's scores) of each."""
    rival = today(rows, contest)
    told = learned(rows)
    idle = set(told.loc[told["verdict"] == NOT_LEARNED, ENTRANT].itertuples(index=False, name=None))
    records, pairs = [], []
    for match, met in matches.items():
        if len(met) < 2 or rival is None:
            continue
        name, against = rival
        for unit in filter(met.__contains__, UNITS):
            best = met[unit]
            place = (dataset, match.budget_axis, match.budget, unit)
            taught = not {(label, unit, *place[1:3]) for label in set(best.picked)} & idle
            reached = [best.method, taught, *_mean(best), name, intervals.mean(against.to_numpy())]
            records.append((*place, *reached, *paired(best.scores, against, contest)))
            pairs.append((*place, best.scores, against))
    return records, pairs


def _mean(best: Champion) -> tuple[float, float, float]:
    values = best.scores.to_numpy()
    return intervals.mean(values), *intervals.bootstrap(values, clusters(best.scores))


def _pooled(pairs: list[tuple], contest: Contest, tissue: Mapping[str, str]) -> pd.DataFrame:
    """`Overall.pooled`."""
    met: dict[tuple, dict[str, dict[str, tuple]]] = {}
    for dataset, axis, budget, unit, own, rival in pairs:
        met.setdefault((axis, budget), {}).setdefault(dataset, {})[unit] = own, rival
    records = []
    for key, datasets in met.items():
        names = [unit for unit in UNITS if any(unit in units for units in datasets.values())]
        whole = {dataset: units for dataset, units in datasets.items() if len(units) == len(names)}
        for unit in names if len(whole) > 1 else []:
            own, rival = (
                pd.concat([_of(dataset, units[unit][side], tissue) for dataset, units in whole.items()])
                for side in (0, 1)
            )
            records.append((*key, unit, len(whole), *paired(own, rival, contest)))
    return pd.DataFrame(records, columns=[*AT, "n_datasets", *PAIRED])


def _of(dataset: str, table: pd.DataFrame, tissue: Mapping[str, str]) -> pd.DataFrame:
    """Scores of one dataset as blocks among those of others, in the cluster of its tissue."""
    blocks = dataset + "/" + table.index.get_level_values("block").astype(str)
    clustered = pd.Index([tissue[dataset]] * len(table))
    return table.set_axis(pd.MultiIndex.from_arrays([clustered, blocks], names=BLOCK))
