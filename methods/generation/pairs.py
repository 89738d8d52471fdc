"""Weak pairs of control and target spots: entropic optimal transport between their expression, never their images."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from benchmark.core.errors import UnitBenchError

Pairing = Literal["transport", "random"]  # how pairs are made
REGULARISATION = 0.05  # of the cost, whose median is 1
TOLERANCE = 1e-6  # of the marginals
MOST_ITERATIONS = 20_000
FEWEST = 5  # spots of a state


class Pairs(NamedTuple):
    """A pair for each control spot: the index of its target, and the plan's confidence in it in (0, 1]; `[n]` each."""

    target: np.ndarray
    confidence: np.ndarray


def transport(control: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The entropic plan between two clouds `[n, d]` and `[m, d]` with uniform weights, `[n, m]`.

    Distances are divided by their median, so that the regularisation means the same at every scale.

    Raises:
        UnitBenchError: there are too few spots, or the plan's marginals do not reach the tolerance.
    """
    import ot

    n, m = len(control), len(target)
    if min(n, m) < FEWEST:
        raise UnitBenchError("pairs", f"{n} control and {m} target spots", f"each state needs at least {FEWEST}")
    cost = ot.dist(control.astype(np.float64), target.astype(np.float64), metric="euclidean")
    cost /= max(np.median(cost), 1e-12)
    plan = ot.sinkhorn(
        np.full(n, 1 / n),
        np.full(m, 1 / m),
        cost,
        REGULARISATION,
        method="sinkhorn_log",
        numItermax=MOST_ITERATIONS,
        stopThr=TOLERANCE,
        warn=False,
    )
    off = max(np.abs(plan.sum(axis=1) * n - 1).max(), np.abs(plan.sum(axis=0) * m - 1).max())
    if not off < 0.01:
        raise UnitBenchError("pairs", f"the transport plan is off its marginals by {off:.0%}", "take fewer spots")
    return plan


def pairs(plan: np.ndarray) -> Pairs:
    """Each control spot's likeliest target, and the target's share of that spot's mass: max_j P_ij / Σ_j P_ij."""
    best = plan.argmax(axis=1)
    return Pairs(best, plan[np.arange(len(plan)), best] / plan.sum(axis=1))


def random_pairs(n: int, m: int, rng: np.random.Generator) -> Pairs:
    """The control of pairing: a random target out of `m` for each of `n` control spots, all with confidence 1."""
    return Pairs(rng.integers(m, size=n), np.ones(n))


def weights(confidence: np.ndarray) -> np.ndarray:
    """Confidence divided by its mean, `[n]`, so that the loss keeps its scale."""
    return confidence / confidence.mean()


def effective_sample_size(weight: np.ndarray) -> float:
    """Kish's effective sample size as a share of all pairs, in (0, 1]: 1 where all pairs have the same weight."""
    return float(weight.sum() ** 2 / (weight**2).sum() / len(weight))


def many_to_one(target: np.ndarray) -> float:
    """Share of the control spots that share their target with another control spot."""
    _, group, count = np.unique(target, return_inverse=True, return_counts=True)
    return float((count[group] > 1).mean())
