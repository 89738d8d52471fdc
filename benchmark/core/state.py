"""Settings of a process that outlive a function: what a plugin must leave as it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

MODULES = ("numpy", "numpy.random", "numpy.linalg", "scipy.sparse", "torch", "torch.nn.functional", "sklearn.metrics")


def state() -> dict[str, Any]:
    """Settings and functions by their names. The state of random generators is left out: to seed them is usual."""
    umask = os.umask(0)
    os.umask(umask)
    return {"umask": umask, "working directory": os.getcwd(), **dict(_settings()), **dict(_functions())}


def changed(before: dict[str, Any]) -> list[str]:
    """The names of what is different now, with its value before and now where that can be read."""
    after = state()
    names = [name for name, value in before.items() if name in after and not _same(name, value, after[name])]
    return [f"{name}" if callable(before[name]) else f"{name} ({before[name]} → {after[name]})" for name in names]


def _same(name: str, before: Any, after: Any) -> bool:
    """Whether nothing was changed, or a library has replaced a function of its own, as torch does when it compiles."""
    if not callable(before):
        return bool(before == after)
    library = name.partition(".")[0]
    return before is after or str(getattr(after, "__module__", "")).partition(".")[0] == library


def _settings() -> Iterator[tuple[str, Any]]:
    import numpy as np

    yield "numpy's error handling", np.geterr()
    if torch := sys.modules.get("torch"):
        yield "torch's default dtype", torch.get_default_dtype()
        yield "torch's gradient mode", torch.is_grad_enabled()


def _functions() -> Iterator[tuple[str, Any]]:
    """The functions of modules that everybody uses, if they are imported."""
    for name in MODULES:
        for key, value in list(vars(sys.modules.get(name, object)).items()):
            if callable(value) and not key.startswith("_"):
                yield f"{name}.{key}", value
