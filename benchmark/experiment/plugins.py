"""The installed plugins as a table; those that fail to import are marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import Kind, plugins

if TYPE_CHECKING:
    from rich.table import Table


def plugin_table() -> Table:
    """All methods, datasets, tasks and channel rules, one a line, with the first line of their docstrings."""
    from rich.table import Table

    table = Table("kind", "name", "what it is", "from")
    for kind in get_args(Kind):
        for plugin in plugins(kind).values():
            try:
                about = (plugin.load().__doc__ or "").strip().splitlines()[0]
            except UnitBenchError as error:
                about = f"[red]broken: {error.cause}[/]"
            table.add_row(kind.removesuffix("s"), plugin.name, about, f"{plugin.distribution} {plugin.version}")
    return table
