"""How a method breaks its contract, as far as it can be told before anything is fitted."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from benchmark.core.contracts.method import Method, MethodOptions, UnitName


def breaches(method: object) -> Iterator[str]:
    """What the contract asks and the method has not, one line each."""
    known = ", ".join(map(repr, get_args(UnitName)))
    if not hasattr(method, "unit"):
        yield f"no attribute `unit`: one of {known}"
    elif method.unit not in get_args(UnitName):
        yield f"unit is {method.unit!r}, one of {known} is asked"
    elif not isinstance(method, Method):
        yield "no function fit(corpus, budget, seed)"
    else:
        if getattr(method, "labels", False) and not getattr(method, "reference", ""):
            yield "it is shown the labels of the training slides, and `reference` does not say that it is supervised"
        if getattr(method, "transductive", False) and not getattr(method, "reference", ""):
            yield "it learns from the slide that is scored, and `reference` does not say that it is transductive"
        yield from _calls(method)


def _calls(method: object) -> Iterator[str]:
    """The functions that cannot be called as the contract says."""
    optional = {name: value for name, value in vars(MethodOptions).items() if not name.startswith("_")}
    asked: dict[str, Any] = {"fit": Method.fit, **{n: value for n, value in optional.items() if callable(value)}}
    for name, function in asked.items():
        if (offered := getattr(method, name, None)) is None:
            continue
        words = list(inspect.signature(function).parameters)[1:]
        try:
            inspect.signature(offered).bind(*words)
        except TypeError as error:
            yield f"{name}({', '.join(words)}) is asked, and it cannot be called so: {error}"
