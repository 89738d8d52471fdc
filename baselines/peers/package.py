"""The package of a peer: its name, licence and installed version, and the remedy where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmark.core.errors import UnitBenchError

INSTALL = "python -m pip install -c constraints.txt -e '.[peers]'"


@dataclass(frozen=True)
class Package:
    """`name`: as pip has it."""

    name: str
    licence: str

    def __str__(self) -> str:
        try:
            return f"{self.name} {version(self.name)} ({self.licence})"
        except PackageNotFoundError:
            return f"{self.name}, not installed ({self.licence})"

    def load(self, module: str) -> Any:
        """Import a module of the package.

        Raises:
            UnitBenchError: it, or something that it needs, is not installed.
        """
        try:
            with _torch_as_it_is():
                return import_module(module)
        except ModuleNotFoundError as error:
            raise UnitBenchError(self.name, f"no module {error.name!r} here", f"install it: {INSTALL}") from None


@contextmanager
def _torch_as_it_is() -> Iterator[None]:
    """Puts back the functions of torch that PyTorch Geometric replaces on import, for a tensor that no peer uses."""
    import torch

    before = dict(vars(torch))
    yield
    for name, value in before.items():
        if str(getattr(vars(torch)[name], "__module__", "")).startswith("torch_geometric."):
            setattr(torch, name, value)
