"""Methods, datasets, tasks and channel rules, found by entry point; the built-in ones come as anybody's plugin does."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from benchmark.core.contracts import API_VERSION, offer
from benchmark.core.errors import UnitBenchError, nearest

ENVIRONMENTS = "unitbench.environments"  # method = the environment that it needs
GROUPS = {kind: f"unitbench.{kind}" for kind in ("methods", "datasets", "tasks", "channels")}
Kind = Literal["methods", "datasets", "tasks", "channels"]


@dataclass(frozen=True)
class Plugin:
    """A named entry of a group, not yet imported. `environment` is "" where it runs in the main one."""

    name: str
    kind: Kind
    distribution: str
    version: str
    entry: EntryPoint
    environment: str = ""

    def load(self) -> Any:
        """Import it. An error names the package and its cause, whatever went wrong inside."""
        try:
            loaded = self.entry.load()
        except Exception as error:
            raise UnitBenchError(
                f"plugin {self.name!r}",
                f"{self.entry.value} of {self.distribution} {self.version} fails to import "
                f"({type(error).__name__}: {error})",
                f"repair or uninstall {self.distribution}",
            ) from error
        version = offer(loaded, "api_version")
        if version != API_VERSION:
            raise UnitBenchError(
                f"plugin {self.name!r}",
                f"made for API version {version}, this is {API_VERSION}",
                f"update {self.distribution}",
            )
        return loaded


def plugins(kind: Kind) -> dict[str, Plugin]:
    """All installed plugins of a kind, by name, none imported.

    Raises:
        UnitBenchError: two distributions claim one name.
    """
    return _plugins(kind, tuple(sys.path))


@cache
def _plugins(kind: Kind, path: tuple[str, ...]) -> dict[str, Plugin]:
    """Looked up once for each `path`: every lookup opens the records of all installed packages."""
    found: dict[str, Plugin] = {}
    needs = {entry.name: entry.value for entry in entry_points(group=ENVIRONMENTS)} if kind == "methods" else {}
    for entry in sorted(entry_points(group=GROUPS[kind]), key=lambda entry: entry.name):
        plugin = Plugin(entry.name, kind, entry.dist.name, entry.dist.version, entry, needs.get(entry.name, ""))
        other = found.setdefault(entry.name, plugin)
        if (other.distribution, other.entry.value) != (plugin.distribution, entry.value):
            raise UnitBenchError(
                f"{kind[:-1]} {entry.name!r}",
                f"named by {other.distribution} and by {plugin.distribution}",
                "uninstall one of them",
            )
    return found


def find(kind: Kind, name: str) -> Plugin:
    """The plugin of that name.

    Raises:
        UnitBenchError: no such plugin; names the nearest one.
    """
    found = plugins(kind)
    if name not in found:
        raise UnitBenchError(f"{kind[:-1]} {name!r}", "not installed", nearest(name, found))
    return found[name]


def make(kind: Kind, name: str, options: Mapping[str, Any]) -> Any:
    """The plugin of that name, made with these options: the keywords of its class, of the types that it states.

    Raises:
        UnitBenchError: no such plugin or option (names the nearest one), or a value that it refuses.
    """
    plugin, where = find(kind, name).load(), f"{kind[:-1]} {name!r}"
    known = inspect.signature(plugin).parameters
    for option in options:
        if option not in known:
            raise UnitBenchError(where, f"unknown option {option!r}", nearest(option, known))
    types = _types(plugin)
    values = {option: _checked(where, option, value, types.get(option, Any)) for option, value in options.items()}
    try:
        return plugin(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        raise UnitBenchError(where, f"option {option}: {first['msg']}", "correct it") from None
    except (TypeError, ValueError) as error:
        raise UnitBenchError(where, f"refuses its options ({error})", "correct them") from None


def _types(plugin: Any) -> dict[str, Any]:
    """The types of a class's options. A model of pydantic checks its own; a name that only type checkers import
    tells nothing."""
    if issubclass(plugin, BaseModel):
        return {}
    try:
        return get_type_hints(plugin.__init__, include_extras=True)
    except NameError:
        return {}


def _checked(where: str, option: str, value: Any, kind: Any) -> Any:
    """The value as its type has it: a list becomes a tuple, say.

    Raises:
        UnitBenchError: it has another type, or is none of the values of a `Literal` (names the nearest).
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
        if choices and isinstance(value, str):
            raise UnitBenchError(where, f"option {option}: unknown {value!r}", nearest(value, choices)) from None
        raise UnitBenchError(
            where, f"option {option}: {error.errors()[0]['msg']}, not {value!r}", "correct it"
        ) from None
