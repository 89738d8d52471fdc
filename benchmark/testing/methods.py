"""Checks of a method: `benchmark.core.contracts.Method` and `MethodOptions`, one by one, then a whole tiny run."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np

from benchmark.core.contracts import breaches, offer
from benchmark.core.errors import UnitBenchError
from benchmark.stats.leaderboard import leaderboard
from benchmark.testing import calls
from benchmark.testing.options import has_options_of_known_types
from benchmark.testing.run import reasons, tiny_run
from benchmark.testing.subject import Check, Subject, Violation, require
from benchmark.testing.tissue import crumbs, scratch
from benchmark.training import loop
from benchmark.training.budget import Budget, Meter
from benchmark.training.spending import watched_fit

STEPS = 25  # that a fit takes at least: then one step is under 4% of the budget
AMOUNTS = [1e7 * 4**power for power in range(9)]  # FLOPs, of which the first that is enough is taken


def is_a_method(subject: Subject) -> None:
    """It loads, has a docstring whose first line says what it is, a `unit`, and `fit`. Its functions take the arguments
    of the contract, in their order."""
    method = subject.make()
    documented = (type(method).__doc__ or "").strip()
    require(documented, "the class has no docstring; its first line is shown by `unitbench list`")
    for breach in breaches(method):
        raise Violation(breach)


def says_of_itself_what_can_be_read(subject: Subject) -> None:
    """`reference`, `not_applicable` and `software` are text, `pretrained_on` is a list of names."""
    method = subject.make()
    for name in ("reference", "not_applicable", "software"):
        require(isinstance(offer(method, name), str), f"{name} is {offer(method, name)!r}, text is asked")
    names = offer(method, "pretrained_on")
    fine = not isinstance(names, str) and all(isinstance(each, str) for each in names)
    require(fine, f"pretrained_on is {names!r}, a list of names of slides or data sets is asked")


def can_do_a_task(subject: Subject) -> None:
    """It has at least one function that a task asks for, and `view` if it has `generate`."""
    method = _usable(subject)
    useful = [name for name in calls.OUTPUTS if offer(method, name)]
    require(useful, f"none of {', '.join(calls.OUTPUTS)}: no task could score it")
    require(
        "generate" not in useful or offer(method, "view"),
        "it has generate, so `view` (benchmark.data.tiles.View) is asked",
    )


def refuses_slides_it_cannot_serve(subject: Subject) -> None:
    """Slides too small for its settings are refused by UnitBenchError, best in `check`, or are served."""
    method = _usable(subject)
    try:
        if check := offer(method, "check"):
            check(crumbs())
        _fit(method, crumbs(), 0.0)
    except UnitBenchError as error:
        require(error.cause, "UnitBenchError(where, cause, remedy) is asked to name the cause")


def serves_these_slides(subject: Subject) -> None:
    """`check` accepts the training slides of the kit, with these options."""
    if check := offer(subject.make(), "check"):
        check(subject.training)


def spends_its_budget(subject: Subject) -> None:
    """With a unit, `fit` spends its budget within 2% by the benchmark's own meter, and nothing at amount 0. Without a
    unit it does not train, or says in `reference` why it is no rival of the others."""
    method, _ = _trained(subject)
    if method.unit != "none":
        _fit(subject.make(), subject.training, 0.0)


def saves_what_it_trained(subject: Subject) -> None:
    """A method that spends a budget has `save(path)`, which writes all its parameters as safetensors."""
    method, spent = _trained(subject)
    if spent is None:
        return
    require(offer(method, "save"), "fit spent its budget, so save(path) is asked")
    from safetensors.numpy import load_file

    path = scratch() / "weights.safetensors"
    method.save(path)
    saved = load_file(path)
    require(all(np.isfinite(array).all() for array in saved.values()), "weights that are not finite were saved")
    n = sum(array.size for array in saved.values())
    least = offer(method, "n_parameters") or 1
    require(n >= least, f"{n:,} numbers were saved of {least:,} parameters")


def gives_what_is_asked(subject: Subject) -> None:
    """What it returns has the shape and type of the contract, and is finite."""
    _outputs(subject)


def gives_the_same_again(subject: Subject) -> None:
    """The same slide gives the same result, and a second fit with the same seed too."""
    first = _outputs(subject)
    for name, again in (("called again", _trained(subject)[0]), ("fitted again with the same seed", _second(subject))):
        for function, values in calls.outputs(again, subject.test_slide).items():
            require(np.array_equal(values, first[function]), f"{function} gives another result when {name}")


def goes_on_after_a_kill(subject: Subject) -> None:
    """A fit that was cut off and begins again with its checkpoint ends as an unbroken one."""
    method, spent = _trained(subject)
    if spent is None:
        return
    unbroken = calls.outputs(method, subject.test_slide)
    for function, values in calls.outputs(_cut_off_and_resumed(subject), subject.test_slide).items():
        require(np.array_equal(values, unbroken[function]), f"{function} differs after a resumed fit")


def reaches_the_leaderboard(subject: Subject) -> None:
    """A whole tiny run ends with its row on the leaderboard."""
    method, spent = _trained(subject)
    small = calls.TASKS | ({"embed": {"task": "clustering"}} if offer(method, "transductive") else {})
    tasks = [task for function, task in small.items() if offer(method, function)]
    entry = {"method": subject.name, "options": dict(subject.options)}
    amounts = [0.0] if spent is None else [2 * spent.amount]
    rows = tiny_run(subject.corpus, [entry], tasks, amounts)
    require(not reasons(rows), f"the run failed: {reasons(rows)}")
    require(leaderboard(rows)["value"].notna().any(), "the run gave it no score")


CHECKS: list[Check] = [
    is_a_method,
    has_options_of_known_types,
    says_of_itself_what_can_be_read,
    can_do_a_task,
    serves_these_slides,
    refuses_slides_it_cannot_serve,
    spends_its_budget,
    saves_what_it_trained,
    gives_what_is_asked,
    gives_the_same_again,
    goes_on_after_a_kill,
    reaches_the_leaderboard,
]


def _usable(subject: Subject) -> Any:
    """A new object, unless it says that it cannot be used here."""
    method = subject.make()
    if absent := offer(method, "not_applicable"):
        raise SkipTest(f"not applicable: {absent}")
    return method


def _fit(method: Any, corpus: Any, amount: float, **options: Any) -> Meter | None:
    """The meter, None where nothing was spent."""
    budget = Budget("flops", amount, "fp32", **options)
    watched_fit(method, corpus, budget, seed=0)
    return budget.meter if budget.meter.steps else None


def _trained(subject: Subject) -> tuple[Any, Meter | None]:
    """A fitted method and what it spent. The budget is the smallest of a few that gives enough steps."""

    def fitted() -> tuple[Any, Meter | None]:
        for amount in [0.0] if _usable(subject).unit == "none" else AMOUNTS:
            method = _usable(subject)
            try:
                spent = _fit(method, subject.training, amount)
            except UnitBenchError as error:
                if error.where != "budget flops" or amount == AMOUNTS[-1]:
                    raise
                continue
            if spent is None or spent.steps >= STEPS:
                break
        return method, spent

    return subject.keep("trained", fitted)


def _amount(subject: Subject) -> float:
    _, spent = _trained(subject)
    return spent.amount if spent else 0.0


def _second(subject: Subject) -> Any:
    def fitted() -> Any:
        method = subject.make()
        _fit(method, subject.training, _amount(subject))
        return method

    return subject.keep("second", fitted)


def _outputs(subject: Subject) -> dict[str, np.ndarray]:
    return subject.keep("outputs", lambda: calls.outputs(_trained(subject)[0], subject.test_slide))


def _cut_off_and_resumed(subject: Subject) -> Any:
    """Fitted with a checkpoint after every step, cut off half-way, and fitted again."""

    class Cut(Exception):
        pass

    def cut(fraction: float, text: str) -> None:
        if fraction > 0.5:
            raise Cut

    checkpoint, before = scratch() / "checkpoint.pt", (loop.CHECKPOINT_SECONDS, loop.CHECK_EVERY)
    loop.CHECKPOINT_SECONDS, loop.CHECK_EVERY = 0.0, 1
    try:
        _fit(subject.make(), subject.training, _amount(subject), checkpoint=checkpoint, progress=cut)
    except Cut:
        pass
    finally:
        loop.CHECKPOINT_SECONDS, loop.CHECK_EVERY = before
    method = subject.make()
    _fit(method, subject.training, _amount(subject), checkpoint=checkpoint)
    return method
