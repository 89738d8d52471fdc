"""Positions on an integer grid: square arrays, Visium's hexagons, and single cells binned at a pitch.

Every function returns a `Lattice`. Positions are isotropic: distances are physical distances in pitches. No spot is
dropped. Spots that share a cell, or lie outside a stated shape, are kept and counted. A grid that is nearly empty or
crowded is refused: its pitch, or the position of some spot, is wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmark.core.errors import UnitBenchError

MOST_CELLS = 10_000_000  # of a lattice; or, if it has very many spots,
MOST_CELLS_A_SPOT = 100
MOST_SPOTS_A_CELL = 30  # mean
FAR = 100  # a spot is far off, if it is so many times the range of the middle half away from the middle


class Lattice(NamedTuple):
    """The lattice cells and positions of the spots of one slide.

    cell: (row, column) from 0, int32 `[n_spots, 2]`.
    position: (y, x) in pitches, float32 `[n_spots, 2]`.
    record: kind ("square", "hex" or "binned"), pitch and its unit, shape [H, W], n_spots, n_shared (spots
        that share their cell) and n_outside (spots outside the stated shape; 0 if none is stated).
    """

    cell: np.ndarray
    position: np.ndarray
    record: dict[str, Any]


def square(
    row: np.ndarray, column: np.ndarray, pitch: float, unit: str, shape: tuple[int, int] | None = None
) -> Lattice:
    """A square array, from its row and column indices `[n_spots]`, which are rounded to integers.

    Raises:
        UnitBenchError: the array would be nearly empty, or crowded.
    """
    cell = _integers(np.rint(np.stack([row, column], axis=1)))
    origin = _origin(cell, shape)
    return _lattice("square", cell - origin, cell - origin, pitch, unit, shape, origin)


def hexagonal(
    row: np.ndarray, column: np.ndarray, pitch: float, unit: str, shape: tuple[int, int] | None = None
) -> Lattice:
    """Visium's array, from `array_row` and `array_col` `[n_spots]`. Columns step by 2 within a row.

    Cell (row, column // 2) is an offset coordinate: each hexagon has its own cell, and no cell is left out.
    All six neighbours of a spot are at distance 1.

    Raises:
        UnitBenchError: row + column is even for some spots and odd for others, so these are not Visium's indices; or
            the array would be nearly empty, or crowded.
    """
    index = _integers(np.rint(np.stack([row, column], axis=1)))
    if len(np.unique(index.sum(axis=1) % 2)) > 1:
        raise UnitBenchError(
            "hexagonal lattice",
            "row + column is odd for some spots and even for others",
            "give array_row and array_col",
        )
    # With an even origin the rows that are shifted by half a pitch stay the same as in the array.
    origin = _origin(index // 2, shape) * 2
    index = index - origin
    position = index * [np.sqrt(3) / 2, 0.5]
    return _lattice("hex", index // [1, 2], position, pitch, unit, shape, origin // [1, 2])


def binned(y: np.ndarray, x: np.ndarray, pitch: float, unit: str, shape: tuple[int, int] | None = None) -> Lattice:
    """Single cells at any position, `[n_cells]` in `unit`, in square bins of side `pitch`.

    Raises:
        UnitBenchError: the lattice would be nearly empty, or crowded.
    """
    position = np.stack([y, x], axis=1).astype(np.float64) / pitch
    cell = _integers(np.floor(position), position, pitch, unit)
    origin = _origin(cell, shape)
    return _lattice("binned", cell - origin, position - origin, pitch, unit, shape, origin)


def _integers(
    cell: np.ndarray, position: np.ndarray | None = None, pitch: float | None = None, unit: str = ""
) -> np.ndarray:
    """Lattice cells `[n_spots, 2]` as int64, if they make a lattice of a size that the spots can fill.

    Args:
        position: in pitches, where the pitch decides the cells.
    """
    if not len(cell):
        raise UnitBenchError("lattice", "0 spots", "a slide needs at least 2")
    height, width = np.ptp(cell, axis=0) + 1
    n_filled = len(np.unique(cell, axis=0))
    if height * width <= max(MOST_CELLS, MOST_CELLS_A_SPOT * len(cell)) and len(cell) <= MOST_SPOTS_A_CELL * n_filled:
        return cell.astype(np.int64)
    cause = f"{height:,.0f} × {width:,.0f} cells, {n_filled:,} of them filled, for {len(cell):,} spots"
    quartile, middle, third = np.quantile(cell, [0.25, 0.5, 0.75], axis=0)
    far = (np.abs(cell - middle) > FAR * np.maximum(third - quartile, 1)).any(axis=1)
    if far.any():
        row, column = cell[far][0]
        where = f"row {row:g}, column {column:g}" if position is None else f"y {row * pitch:g}, x {column * pitch:g}"
        cause += f"; {far.sum()} spot(s) lie far off, such as number {np.flatnonzero(far)[0] + 1} at {where}"
        raise UnitBenchError("lattice", cause, "correct their positions, or drop them")
    if position is None:
        raise UnitBenchError("lattice", cause, "correct the columns of rows and columns")
    raise UnitBenchError(
        "lattice",
        f"{cause}; the pitch is {pitch:g} {unit}, and neighbours are {_step(position) * pitch:g} {unit} apart",
        "correct the pitch, or the unit of the positions",
    )


def _step(position: np.ndarray) -> float:
    """Median distance of a place to the nearest other one; 0 if there is one place."""
    from scipy.spatial import KDTree  # slow to import, and needed for a message alone

    places = np.unique(position, axis=0)
    return float(np.median(KDTree(places).query(places, k=2)[0][:, 1])) if len(places) > 1 else 0.0


def _origin(cell: np.ndarray, shape: tuple[int, int] | None) -> np.ndarray:
    """The cell that becomes (0, 0), `[2]`: that of the array if a shape is stated, else the least occupied one."""
    least = cell.min(axis=0)
    return least if shape is None else np.minimum(least, 0)


def _lattice(
    kind: str,
    cell: np.ndarray,
    position: np.ndarray,
    pitch: float,
    unit: str,
    shape: tuple[int, int] | None,
    origin: np.ndarray,
) -> Lattice:
    """The lattice with its record. `shape` counts from the (0, 0) of the array, so `origin` is added to the cells."""
    _, spots_in_cell = np.unique(cell, axis=0, return_counts=True)
    array_cell = cell + origin
    outside = 0 if shape is None else ((array_cell < 0) | (array_cell >= shape)).any(axis=1).sum()
    whole = cell.max(axis=0) + 1 if shape is None else np.maximum(cell.max(axis=0) + 1, shape)
    record = {
        "kind": kind,
        "pitch": float(pitch),
        "pitch_unit": unit,
        "shape": [int(side) for side in whole],
        "n_spots": len(cell),
        "n_shared": int(spots_in_cell[spots_in_cell > 1].sum()),
        "n_outside": int(outside),
    }
    return Lattice(cell.astype(np.int32), np.asarray(position, dtype=np.float32), record)
