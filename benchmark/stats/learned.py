"""What was learned: R² of the objective on held-out donors, beside predictors that have learned nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.rows import ENTRANT, Entrant, cluster_names

R2 = "r2"
UNTAUGHT = "r2_"  # what the names of the untaught predictors begin with
ZERO = "zero"  # the predictor that says 0, the mean of every gene
LEARNED, NOT_LEARNED, UNTRAINED = "learned", "did not learn", "untrained"
PLACES = ["dataset", "cluster", "block"]
COLUMNS = [*ENTRANT, "value", "low", "high", "untaught", "untaught_value"]
COLUMNS += ["difference", "difference_low", "difference_high", "n_donors", "n_seeds", "verdict"]


def learned(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per entrant that tells its R²; none where no method of the rows does.

    `value` is the mean over donors of the mean over slides and seeds. `untaught` names the best of the predictors that
    have learned nothing, with the mean `untaught_value`; predicting 0 is one of them. `difference` is paired by slide.
    The best is picked by the scores that it is compared by, so the interval leans towards "did not learn". The verdict
    is "learned" if the mean of the difference and the low end of its interval are above 0. With one fold of donors
    there are no folds to draw: then if it is above 0 on every slide with every seed.

    Args:
        rows: score rows; those of the task `objective` are read.
    """
    told = objective(rows)
    records = [(*key, *_judged(part, Entrant._make(key))) for key, part in told.groupby(ENTRANT)]
    return pd.DataFrame(records, columns=COLUMNS)


def objective(rows: pd.DataFrame) -> pd.DataFrame:
    """R² by slide and seed: one row per arm and slide, one column per predictor, and those of the places."""
    kept = rows[(rows["task"] == "objective") & (rows["status"] == "ok")]
    kept = kept[(kept["metric"] == R2) | kept["metric"].str.startswith(UNTAUGHT)]
    kept = kept.assign(block=kept["donor"])
    kept = kept.assign(cluster=cluster_names(kept))
    keys = [*ENTRANT, *PLACES, "fold", "seed", "slide"]
    table = kept.pivot_table(index=keys, columns="metric", values="value", observed=True).reset_index()
    return table.assign(**{UNTAUGHT + ZERO: 0.0}).dropna(subset=R2) if R2 in table else table.iloc[:0]


def _judged(part: pd.DataFrame, entrant: Entrant) -> tuple:
    """The columns after those of the entrant, of its rows of `objective`."""
    predictors = [str(name) for name in part.dropna(axis=1) if str(name).startswith(UNTAUGHT)]
    best = max(predictors, key=lambda name: intervals.mean(matrix(part, name).to_numpy()))
    part = part.assign(beyond=part[R2] - part[best])
    values, beyond = matrix(part, R2), matrix(part, "beyond")
    difference, (low, high) = intervals.mean(beyond.to_numpy()), _interval(beyond)
    several = beyond.index.get_level_values("cluster").nunique() > 1
    clear = low > 0 if several else bool((part["beyond"] > 0).all())
    verdict = UNTRAINED if entrant.budget == 0 else LEARNED if difference > 0 and clear else NOT_LEARNED
    return (
        *(intervals.mean(values.to_numpy()), *_interval(values)),
        *(best.removeprefix(UNTAUGHT), intervals.mean(matrix(part, best).to_numpy())),
        *(difference, low, high, *values.shape, verdict),
    )


def matrix(part: pd.DataFrame, column: str) -> pd.DataFrame:
    """Means over slides: one row per dataset, cluster and donor, one column per seed."""
    return part.groupby([*PLACES, "seed"])[column].mean().unstack("seed")


def _interval(table: pd.DataFrame) -> tuple[float, float]:
    return intervals.bootstrap(table.to_numpy(), table.index.get_level_values("cluster").to_numpy())


def that_learned(rows: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """The rows without those of entrants that did not learn. Who does not tell takes part.

    Args:
        told: `learned(rows)`.
    """
    out = pd.MultiIndex.from_frame(told.loc[told["verdict"] == NOT_LEARNED, ENTRANT])
    return rows[~np.isin(pd.MultiIndex.from_frame(rows[ENTRANT]), out)] if len(out) else rows
