"""Methods, datasets, tasks and channel rules: all are plugins, found by entry point, the built-in ones too."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from benchmark.core.contracts import API_VERSION, offer
from benchmark.core.errors import UnitBenchError, nearest

ENVIRONMENTS = "unitbench.environments"  # entries: name of a method = name of the environment that it needs
GROUPS = {kind: f"unitbench.{kind}" for kind in ("methods", "datasets", "tasks", "channels")}
Kind = Literal["methods", "datasets", "tasks", "channels"]


@dataclass(frozen=True)
class Plugin:
    """A plugin that is installed, not yet imported. `environment` is "" where it runs in the main environment."""

    name: str
    kind: Kind
    distribution: str
    version: str
    entry: EntryPoint
    environment: str = ""

    @property
    def built_in(self) -> bool:
        return self.distribution == "unitbench"

    @property
    def home(self) -> Path | None:
        """The file of its module, or the folder of its package; None before it is loaded."""
        module = sys.modules.get(self.entry.module.split(".")[0])
        file = Path(module.__file__) if module and module.__file__ else None
        return file.parent if file and file.name == "__init__.py" else file

    def load(self) -> Any:
        """Import the plugin.

        Raises:
            UnitBenchError: the import fails, for any reason, or the plugin is for another version of the contracts.
        """
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
    """All installed plugins of a kind, by name. None of them is imported.

    Raises:
        UnitBenchError: two packages use the same name.
    """
    return _plugins(kind, tuple(sys.path))


@cache
def _plugins(kind: Kind, path: tuple[str, ...]) -> dict[str, Plugin]:
    """Cached for each `path`, because every lookup opens the metadata of all installed packages."""
    by_name: dict[str, Plugin] = {}
    needs = {entry.name: entry.value for entry in entry_points(group=ENVIRONMENTS)} if kind == "methods" else {}
    for entry in sorted(entry_points(group=GROUPS[kind]), key=lambda entry: entry.name):
        if entry.dist is None:  # made by hand, not installed
            continue
        plugin = Plugin(entry.name, kind, entry.dist.name, entry.dist.version, entry, needs.get(entry.name, ""))
        other = by_name.setdefault(entry.name, plugin)
        if (other.distribution, other.entry.value) != (plugin.distribution, entry.value):
            raise UnitBenchError(
                f"{kind[:-1]} {entry.name!r}",
                f"named by {other.distribution} and by {plugin.distribution}",
                "uninstall one of them",
            )
    return by_name


def find(kind: Kind, name: str) -> Plugin:
    """The plugin of that name.

    Raises:
        UnitBenchError: no such plugin; names the nearest one.
    """
    by_name = plugins(kind)
    if name not in by_name:
        raise UnitBenchError(f"{kind[:-1]} {name!r}", "not installed", nearest(name, by_name))
    return by_name[name]


def make(kind: Kind, name: str, options: Mapping[str, Any]) -> Any:
    """The plugin of that name, made with these options: keyword arguments of its class, checked by their type hints.

    Raises:
        UnitBenchError: no such plugin or option (names the nearest one), or the plugin refuses a value.
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
    """The type hints of the options of a class. Empty for a model of pydantic, which checks its options itself, and
    where a hint can be read by type checkers alone."""
    if issubclass(plugin, BaseModel):
        return {}
    try:
        return get_type_hints(plugin.__init__, include_extras=True)
    except NameError:
        return {}


def _checked(where: str, option: str, value: Any, kind: Any) -> Any:
    """The value, converted to its type: a list becomes a tuple, say.

    Raises:
        UnitBenchError: the value has another type, or is not among the values of a `Literal` (names the nearest).
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
