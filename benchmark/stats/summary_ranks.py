"""Ranks over (dataset, donor): mean ranks, Elo, and the critical difference, of entrants that have every score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals
from benchmark.stats.completeness import complete
from benchmark.stats.contests import Contest, select
from benchmark.stats.rows import ENTRANT, score_matrix, scores

ANCHOR, SCALE = 1000.0, 400 / np.log(10)  # the mean Elo of all entrants; a lead of 400 is odds of 10 to 1
AT_ONCE = 100  # resamples that are solved together
ALPHA = 0.05


class Ranks(NamedTuple):
    """The ranks of one contest.

    Attributes:
        table: by entrant, best first: mean_rank, elo, low, high (95%).
        n_blocks: (dataset, donor) that ranks are means over.
        n_clusters: of them, those that no model shares: the donors of a fold count once.
        critical: difference of mean ranks from which on two entrants differ, by Nemenyi's test at 5%.
    """

    table: pd.DataFrame
    n_blocks: int
    n_clusters: int
    critical: float


def blocks(rows: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """Scores, the sign turned where lower is better: one row per (dataset, cluster, block), one column per entrant.

    Left out is whoever lacks a score that anybody has, on any dataset: a mean over what is left would favour it.
    """
    measured = scores(select(rows, contest))
    whole = complete(rows, measured).to_frame(index=False).groupby(ENTRANT).size()
    whole = whole[whole == measured["dataset"].nunique()]
    by_entrant = score_matrix(measured).mean(axis=1).droplevel(list(Contest._fields)).unstack(ENTRANT)
    return by_entrant[whole.index] * (-1 if contest.lower_is_better else 1)


def ranks(rows: pd.DataFrame, contest: Contest) -> Ranks | None:
    """The ranks of a contest; None where fewer than two entrants have every score."""
    table = blocks(rows, contest)
    n_blocks, n_entrants = table.shape
    if n_entrants < 2:
        return None
    from scipy.stats import rankdata  # slow to import

    values = table.to_numpy()
    names = table.index.get_level_values("dataset") + "/" + table.index.get_level_values("cluster")
    codes = pd.factorize(names)[0]
    n_clusters = codes.max() + 1
    weights, _ = intervals.draws(tuple(codes.tolist()), 1)
    drawn = elo(values, weights[weights.sum(axis=1) > 0])
    low, high = np.quantile(drawn, [(1 - intervals.LEVEL) / 2, (1 + intervals.LEVEL) / 2], axis=0)
    columns = {
        "mean_rank": rankdata(-values, axis=1).mean(axis=0),
        "elo": elo(values, np.ones((1, n_blocks)))[0],
        "low": low if n_clusters > 1 else np.nan,
        "high": high if n_clusters > 1 else np.nan,
    }
    found = pd.DataFrame(columns, index=table.columns).sort_values(["mean_rank", "elo"], ascending=[True, False])
    return Ranks(found, n_blocks, n_clusters, critical_difference(n_entrants, n_clusters))


def elo(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Elo of entrants that meet in pairs on every block, by the most likely Bradley-Terry model (Bradley and Terry
    1952, Biometrika 39). Equal values are half a win. Each pair has one more drawn battle, so that who always wins has
    a finite number.

    Args:
        values: `[n_blocks, n_entrants]`, higher is better.
        weights: how often each block counts, `[n_draws, n_blocks]`.

    Returns:
        `[n_draws, n_entrants]`, with the mean `ANCHOR`.
    """
    n_blocks, n = values.shape
    better = (values[:, :, None] > values[:, None]) + 0.5 * (values[:, :, None] == values[:, None])
    better = better.reshape(n_blocks, n * n)
    wins = (weights[start : start + AT_ONCE] @ better for start in range(0, len(weights), AT_ONCE))
    strengths = [_bradley_terry(part.reshape(-1, n, n) + 0.5) for part in wins]
    return ANCHOR + SCALE * np.concatenate(strengths)


def _bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Log strengths `[..., n]` of mean 0, from how often i has beaten j, `[..., n, n]`, by Newton's method."""
    n = wins.shape[-1]
    wins = wins * (1 - np.eye(n))
    battles = wins + wins.swapaxes(-1, -2)
    strength = np.zeros(wins.shape[:-1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(strength[..., None, :] - strength[..., :, None]))
        gradient = (wins - battles * chance).sum(axis=-1)
        curvature = battles * chance * (1 - chance)
        laplacian = np.eye(n) * curvature.sum(axis=-1)[..., None] - curvature
        step = np.linalg.solve(laplacian + 1 / n, gradient[..., None])[..., 0]  # 1 / n: the mean stays 0
        strength = strength + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    return strength


def critical_difference(n_entrants: int, n_blocks: int) -> float:
    """Nemenyi's critical difference of mean ranks at 5% (Demšar 2006, JMLR 7, equation 2 and table 5)."""
    from scipy.stats import studentized_range  # slow to import

    quantile = studentized_range.ppf(1 - ALPHA, n_entrants, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_entrants * (n_entrants + 1) / (6 * n_blocks)))


def alike(mean_ranks: np.ndarray, critical: float) -> list[tuple[int, int]]:
    """The widest groups of entrants that do not differ, as (first, last), of sorted mean ranks `[n]`."""
    last = [int(np.searchsorted(mean_ranks, rank + critical, side="right")) - 1 for rank in mean_ranks]
    pairs = [(first, end) for first, end in enumerate(last) if end > first]
    return [(first, end) for first, end in pairs if not any(a < first and end <= b for a, b in pairs)]
