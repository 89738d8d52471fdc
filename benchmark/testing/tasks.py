"""Checks of a task: `benchmark.core.contracts.Task` and `TaskOptions`, one by one, then a whole tiny run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, get_args

import numpy as np

from benchmark.core import registry
from benchmark.core.contracts import KeyScore, Measured, Metric, NotApplicable, Split, Spots, Task, offer
from benchmark.core.declarations import declared
from benchmark.core.errors import UnitBenchError
from benchmark.data.shown import shown
from benchmark.stats.leaderboard import leaderboard
from benchmark.testing.options import has_options_of_known_types
from benchmark.testing.run import reasons, tiny_run
from benchmark.testing.subject import Check, Subject, Violation, require
from benchmark.training.budget import Budget

EMBEDDINGS = ("embed", "embed_image")
COLUMN = r"[A-Za-z0-9_. /-]+"  # letters that MLflow takes in the name of a metric


def is_a_task(subject: Subject) -> None:
    """Its class has a docstring, `name` (that of its entry point), `requires`, `splits`, `metrics`, `key_scores`, and
    `score`."""
    made = registry.find(subject.kind, subject.name).load()
    require((made.__doc__ or "").strip(), "the class has no docstring; its first line is shown by `unitbench list`")
    for name in ("name", "requires", "splits", "metrics", "key_scores", "score"):
        require(hasattr(made, name), f"the class has no `{name}`")
    require(isinstance(subject.make(), Task), "it is no Task: see benchmark/core/contracts/task.py")
    require(made.name == subject.name, f"its name is {made.name!r}, {subject.name!r} is asked, as its entry point says")


def declares_its_metrics(subject: Subject) -> None:
    """`metrics` are `Metric`s and `key_scores` are `KeyScore`s of them, one at least; `splits` are known."""
    made = registry.find(subject.kind, subject.name).load()
    require(
        made.metrics and all(isinstance(metric, Metric) for metric in made.metrics),
        "`metrics`: Metric objects are asked",
    )
    fine = made.key_scores and all(isinstance(key, KeyScore) for key in made.key_scores)
    require(fine, "`key_scores`: KeyScore objects are asked, one at least")
    for key in made.key_scores:
        known = [metric.name for metric in made.metrics]
        require(key.metric in known, f"key score {key.column!r} is of {key.metric!r}, which `metrics` does not declare")
        require(
            re.fullmatch(COLUMN, key.column), f"key score {key.column!r}: letters, digits, blanks and . - _ / are asked"
        )
    unknown = set(made.splits) - set(get_args(Split))
    require(made.splits and not unknown, f"splits {sorted(unknown)}: some of {', '.join(get_args(Split))} are asked")


def has_what_its_form_asks(subject: Subject) -> None:
    """A task of a function other than `embed` and `embed_image` has `predict`."""
    task = subject.make()
    require(
        task.requires in EMBEDDINGS or offer(task, "predict"), f"it requires {task.requires!r}, so predict is asked"
    )


def measures_what_it_declares(subject: Subject) -> None:
    """Every value is finite, of a declared metric, and of a test slide or "pooled"; what is missing has a reason."""
    about, slide = declared(subject.name), subject.test_slide.uns["slide"]
    results = _measured(subject)
    require(any(isinstance(row, Measured) for row in results), "it measured nothing on the slides of the kit")
    for row in results:
        require(
            isinstance(row, Measured | NotApplicable),
            f"score yields {type(row).__name__}, Measured or NotApplicable is asked",
        )
        require(row.slide in (slide, "pooled"), f"a row is of slide {row.slide!r}, {slide!r} or 'pooled' is asked")
        if isinstance(row, NotApplicable):
            require(row.reason, f"setting {row.setting!r} is not applicable without a reason")
        else:
            known = row.setting == "method" or row.metric in about.metrics
            require(known, f"it measured {row.metric!r}, which `metrics` does not declare")
            require(np.isfinite(row.value), f"{row.setting} {row.metric} is {row.value}, a finite number is asked")


def measures_its_first_key_score(subject: Subject) -> None:
    """The first key score is measured on the slides of the kit."""
    key = declared(subject.name).key_scores[0]
    places = {(row.setting, row.metric) for row in _measured(subject) if isinstance(row, Measured)}
    require(
        (key.setting, key.metric) in places, f"key score {key.column!r} ({key.setting}, {key.metric}) was not measured"
    )


def measures_the_same_again(subject: Subject) -> None:
    """The same slides and seed give the same values."""
    require(_measured(subject) == list(_score(subject)), "it measured other values when called again")


def refuses_what_is_not_finite(subject: Subject) -> None:
    """`predict` raises ValueError where the method returns values that are not finite."""
    task, method = subject.make(), _method(subject)
    if task.requires in EMBEDDINGS or task.requires == "generate":
        return

    def broken(*given: Any) -> np.ndarray:
        return np.full_like(np.asarray(original(*given), dtype=np.float64), np.nan)

    original = offer(method, task.requires)
    setattr(method, task.requires, broken)
    try:
        task.predict(method, subject.training, subject.test_slide)
    except (ValueError, UnitBenchError):
        return
    finally:
        setattr(method, task.requires, original)
    raise Violation(f"{task.requires} gave NaN and predict took it: ValueError is asked")


def reaches_the_leaderboard(subject: Subject) -> None:
    """A whole tiny run ends with its key score on the leaderboard, the best value first."""
    entry = {"task": subject.name, "options": dict(subject.options)}
    methods = list(
        dict.fromkeys([_name_of_method(subject), *(["random"] if subject.make().requires == "embed" else [])])
    )
    rows = tiny_run(subject.corpus, methods, [entry], [0.0])
    board = leaderboard(rows)
    key = declared(subject.name).key_scores[0]
    board = board[(board["setting"] == key.setting) & (board["metric"] == key.metric) & (board["split"] == key.split)]
    require(board["value"].notna().any(), f"no value of {key.column!r} on the leaderboard; {reasons(rows)}")
    best_first = board["value"].dropna().is_monotonic_increasing
    if declared(subject.name).metric(key.metric).lower_is_better:
        require(best_first, "lower is better, and the leaderboard does not begin with the least value")


CHECKS: list[Check] = [
    is_a_task,
    has_options_of_known_types,
    declares_its_metrics,
    has_what_its_form_asks,
    measures_what_it_declares,
    measures_its_first_key_score,
    measures_the_same_again,
    refuses_what_is_not_finite,
    reaches_the_leaderboard,
]


def _name_of_method(subject: Subject) -> str:
    """The one that was named, or an installed one without a unit that has what the task requires."""
    if subject.method:
        return subject.method
    task = subject.make()
    for name, plugin in registry.plugins("methods").items():
        if plugin.distribution == "unitbench" and not plugin.environment:
            method = registry.make("methods", name, {})
            if method.unit == "none" and offer(method, task.requires) and not offer(method, "not_applicable"):
                return name
    raise Violation(f"no installed method has {task.requires}(): name one that has (--method)")


def _method(subject: Subject) -> Any:
    def fitted() -> Any:
        method = registry.make("methods", _name_of_method(subject), {})
        method.fit(subject.training, Budget("flops", 0.0, "fp32"), 0)
        return method

    return subject.keep("method", fitted)


def _measured(subject: Subject) -> list[Measured | NotApplicable]:
    return subject.keep("measured", lambda: list(_score(subject)))


def _score(subject: Subject) -> Iterator[Measured | NotApplicable]:
    """What the task says of the slide of the last donor."""
    task, method = subject.make(), _method(subject)
    *fit, slide = subject.corpus
    predict = partial(offer(task, "predict") or (lambda *given: {}), method, subject.training, shown(slide))
    if task.requires not in EMBEDDINGS:
        yield from task.score(slide, dict(predict()))
        return
    train, test = (_spots(task, method, slides) for slides in (fit, [slide]))
    yield from task.score(train, test, 0)
    if (together := offer(task, "score_predictions")) and (arrays := dict(predict())):
        yield from together([slide], [arrays])


def _spots(task: Any, method: Any, slides: list[Any]) -> Spots:
    import scipy.sparse as sp

    key, counts = offer(task, "key"), task.requires == "embed"
    given = [shown(slide, counts=counts) for slide in slides]
    return Spots(
        np.concatenate([np.asarray(offer(method, task.requires)(slide), np.float32) for slide in given]),
        np.concatenate([slide.obs[key].astype(str) if key else np.repeat("", slide.n_obs) for slide in slides]),
        np.concatenate([np.repeat(slide.uns["slide"], slide.n_obs) for slide in slides]),
        sp.vstack([slide.X for slide in slides], format="csr") if key is None else None,
    )
