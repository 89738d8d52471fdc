"""How long a plan takes on the clock: its jobs on some workers, each of which does one process at a time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.experiment.costs import Plan


def seconds_of(plan: Plan, workers: int | None) -> float:
    """The clock's seconds of a whole run. None: a worker for each job, so that the longest chain remains."""
    chains = [(job.fit, job.score) for job in plan.jobs.values()]
    return sum(plan.once.values()) + makespan(chains, len(chains) if workers is None else workers)


def makespan(chains: Sequence[Sequence[float]], workers: int) -> float:
    """Seconds until all chains are done. The links of a chain follow one another; a free worker takes the link that can
    begin and has most to come in its chain, its own seconds included.

    Args:
        chains: seconds of each link.
    """
    ready = [(-sum(chain), number, 0) for number, chain in enumerate(chains) if chain]
    heapq.heapify(ready)
    at_work: list[tuple[float, int, int]] = []  # when it ends, the chain, the link
    now = 0.0
    while ready or at_work:
        while ready and len(at_work) < workers:
            _, number, link = heapq.heappop(ready)
            heapq.heappush(at_work, (now + chains[number][link], number, link))
        now, number, link = heapq.heappop(at_work)
        if rest := chains[number][link + 1 :]:
            heapq.heappush(ready, (-sum(rest), number, link + 1))
    return now
