"""Whether a method spends what it may: by the benchmark's own count, whoever trains it."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from benchmark.core.contracts import Method, offer
from benchmark.core.errors import UnitBenchError
from benchmark.training.budget import TOLERANCE, Budget

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus
    from benchmark.training.watch import Watch

MARGIN = 1.5  # a FLOP/s that was reported may be so many times that of a matrix product, since the clock is not exact
SHORTEST = 1e-3  # seconds of a fit; a shorter one says nothing of a rate


def watched_fit(method: Method, corpus: Corpus, budget: Budget, seed: int, trusted: bool = False) -> None:
    """Fit the method within the budget, whose meter counts what it spends.

    Args:
        trusted: the method trains by the benchmark's loop alone. It is then watched only if torch is imported already,
            since the import takes seconds.

    Raises:
        UnitBenchError: spent and target differ by over 2%; or it trained without a budget, at amount 0, or beyond what
            it reported; or it reported more FLOP/s than this machine has.
    """
    watch = None
    if not trusted or "torch" in sys.modules:
        from benchmark.training.watch import Watch

        watch = Watch()
    started = time.perf_counter()
    with watch or nullcontext():
        method.fit(corpus, budget, seed)
    _check(method.unit, offer(method, "reference"), budget, watch, time.perf_counter() - started)


def _check(unit: str, reference: str, budget: Budget, watch: Watch | None, seconds: float) -> None:
    meter = budget.meter
    trained = meter.steps > 0 or (watch is not None and watch.gradients)
    if unit == "none":
        if trained and not reference:
            remedy = "name its unit, so that it has a budget, or say in `reference` why it is no rival of the others"
            raise UnitBenchError("unit 'none'", "it trains: gradients were taken in fit", remedy)
        return
    if budget.amount == 0:
        if trained:
            raise UnitBenchError("budget 0", "it trains: gradients were taken in fit", "return untrained at amount 0")
        return
    if meter.steps == 0:
        remedy = "train by benchmark.training.loop.pretrain, or call budget.meter.report"
        raise UnitBenchError("budget.meter", f"fit spent nothing of {budget.amount:.3g} ({budget.axis})", remedy)
    if meter.self_reported:
        meter.device_seconds = max(meter.device_seconds, seconds)
    meter.check()
    if budget.axis == "flops" and watch:
        _check_count(budget, watch.flops)
    if meter.self_reported:
        _check_rate(meter.flops / max(seconds, SHORTEST))


def _check_count(budget: Budget, seen: int) -> None:
    """Raises UnitBenchError: PyTorch's counter has seen more than the budget.

    Args:
        seen: FLOPs outside the benchmark's own loop.
    """
    counted = seen if budget.meter.self_reported else seen + budget.meter.flops
    if counted <= budget.amount * (1 + TOLERANCE):
        return
    cause = f"PyTorch's counter saw {counted:.3g} of {budget.amount:.3g} FLOPs"
    if budget.meter.self_reported:
        raise UnitBenchError("budget.meter", cause, "report all that fit spends")
    remedy = "give a larger budget, or do less beside the training"
    raise UnitBenchError("budget flops", f"{cause}, {seen:.3g} of them outside the training loop", remedy)


def _check_rate(reported: float) -> None:
    """Raises UnitBenchError: so many FLOP/s are not possible here."""
    from benchmark.training.resources import KINDS, SIDE, matrix_product_rate

    possible = 0.0
    for kind in KINDS:
        possible = max(possible, matrix_product_rate(kind))
        if reported <= MARGIN * possible:
            return
    cause = f"{reported:.3g} FLOP/s were reported; a product of two {SIDE} × {SIDE} matrices has {possible:.3g} here"
    raise UnitBenchError("budget.meter", cause, "count the FLOPs of a step anew")
