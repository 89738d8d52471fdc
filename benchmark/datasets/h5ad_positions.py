"""Where the spots of a slide lie: in the indices of an array, in a key of obsm, or in two columns of obs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data import lattice
from benchmark.datasets.description import Grid
from benchmark.datasets.h5ad_part import Part

DROP = "drop those spots, or give their positions"
MISSING = "positions are missing"


def lay(part: Part, grid: Grid) -> lattice.Lattice:
    """The spots on the lattice.

    Raises:
        UnitBenchError: positions are missing or are no numbers, or the lattice does not fit them.
    """
    if grid.kind != "binned":
        down, across = (_column(part, name) for name in (grid.row, grid.column))
    else:
        across, down = _binned(part, grid).T * (grid.scale or 1)
    function = {"square": lattice.square, "hex": lattice.hexagonal, "binned": lattice.binned}[grid.kind]
    try:
        return function(down, across, grid.pitch, grid.unit, grid.shape)
    except UnitBenchError as error:
        raise UnitBenchError(part.path, error.cause, error.remedy) from None


def _binned(part: Part, grid: Grid) -> np.ndarray:
    """The (x, y) as the slide has them, `[n_spots, 2]`."""
    if grid.x is not None and grid.y is not None:
        return np.stack([_column(part, grid.x), _column(part, grid.y)], axis=1)
    return xy(part, grid.spatial, grid.axes)


def xy(part: Part, key: str, axes: tuple[str, str] | None = None) -> np.ndarray:
    """The (x, y) of a key of obsm, `[n_spots, 2]`.

    Args:
        axes: the columns of a table. None: its columns x and y; the first two of an array, which has no names.

    Raises:
        UnitBenchError: there is no such key, it is a table of other columns, or a position is missing.
    """
    table, where = part.obsm(key), f"obsm[{key!r}]"
    if table.shape[1] < 2:
        raise UnitBenchError(part.path, f"{MISSING}: {where} has one column", "give x and y")
    if not isinstance(table.columns, pd.RangeIndex):
        chosen = list(axes or ("x", "y"))
        if lost := [name for name in chosen if name not in table]:
            known = [str(name) for name in table]
            remedy = nearest(lost[0], known) if axes else f"name those of x and y in `lattice.axes`: {', '.join(known)}"
            raise UnitBenchError(part.path, f"{MISSING}: {where} is a table without a column {lost[0]!r}", remedy)
        table = table[chosen]
    elif axes:
        cause = f"{where} is an array, whose columns have no names such as {axes[0]!r}"
        raise UnitBenchError(part.path, cause, "leave `lattice.axes` out: x and y are the first two columns")
    return np.stack([_numbers(table.iloc[:, i], where, part.path) for i in range(2)], axis=1)


def _column(part: Part, name: str) -> np.ndarray:
    return _numbers(part.column(name, MISSING), f"obs[{name!r}]", part.path)


def _numbers(values: pd.Series, where: str, path: Path) -> np.ndarray:
    """Coordinates as floats, `[n_spots]`.

    Raises:
        UnitBenchError: some are missing, or are no numbers.
    """
    numbers = pd.to_numeric(values.astype(object), errors="coerce").to_numpy(dtype=float)
    lost = ~np.isfinite(numbers)
    if (words := values[lost].dropna()).size:
        raise UnitBenchError(path, f"positions are no numbers: {str(words.iloc[0])!r} in {where}", "give numbers")
    if lost.any():
        raise UnitBenchError(path, f"{MISSING}: {lost.sum()} spot(s) have none in {where}", DROP)
    return numbers
