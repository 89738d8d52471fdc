"""The installed plugins as a table; those that cannot be loaded are marked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, get_args

from benchmark.core.apart import apart
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import Kind, Plugin, plugins

if TYPE_CHECKING:
    from rich.table import Table

SECONDS = 60.0  # in which the plugins of a package are loaded


class Listed(NamedTuple):
    """A plugin, the first line of its docstring, and why it cannot be loaded, "" where it can."""

    plugin: Plugin
    about: str
    fault: str


def listed() -> Iterator[Listed]:
    """All installed plugins, by kind and name, found without importing any.

    They are loaded apart, a process for each package: whatever a plugin does there, this process goes on. The plugins
    after one that ends its process are loaded in another.
    """
    everything = [plugin for kind in get_args(Kind) for plugin in plugins(kind).values()]
    packages = dict.fromkeys(plugin.distribution for plugin in everything)
    loaded = {
        (each.plugin.kind, each.plugin.name): each
        for package in packages
        for each in _loaded(package, [plugin for plugin in everything if plugin.distribution == package])
    }
    return (loaded[plugin.kind, plugin.name] for plugin in everything)


def _loaded(package: str, waiting: list[Plugin]) -> Iterator[Listed]:
    """The plugins of one package."""
    while waiting:
        told, fault = _told(package, waiting)
        yield from (Listed(plugin, *about) for plugin, about in zip(waiting, told, strict=False))
        waiting = waiting[len(told) :]
        if waiting:
            yield Listed(waiting.pop(0), "", fault)


def _told(package: str, waiting: list[Plugin]) -> tuple[list[tuple[str, str]], str]:
    """(about, fault) of each plugin up to the first that ends the process, and how it ended."""
    told: list[tuple[str, str]] = []
    try:
        apart(package, _tell, waiting, news=lambda *about: told.append(about), seconds=SECONDS)
    except UnitBenchError as error:
        return told, error.cause
    return told, ""


def _tell(waiting: list[Plugin], tell: Callable[[str, str], None]) -> None:
    """Load these plugins; `tell(about, fault)` of each. What they print is dropped."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for plugin in waiting:
        try:
            lines = str(plugin.load().__doc__ or "").strip().splitlines()
        except UnitBenchError as error:
            tell("", error.cause)
        else:
            tell(lines[0] if lines else "", "")


def plugin_table() -> Table:
    """All methods, datasets, tasks and channel rules, one a line, with the first line of their docstrings."""
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "name", "what it is", "from")
    for plugin, about, fault in listed():
        what = Text(f"broken: {fault}", style="red") if fault else Text(about)
        table.add_row(plugin.kind.removesuffix("s"), plugin.name, what, f"{plugin.distribution} {plugin.version}")
    return table
