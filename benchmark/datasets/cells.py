"""Single cells from arrays: counts of transcripts, cells of masks and polygons, and a slide of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError
from benchmark.data import lattice
from benchmark.data.slide import make_slide

if TYPE_CHECKING:
    import anndata as ad

CONTROLS = ("negprb", "negative", "blank", "falsecode", "systemcontrol")  # first letters of the names of controls


def is_control(targets: Sequence[str] | pd.Index) -> np.ndarray:
    """Which names belong to negative probes or unused barcodes, bool `[n]`."""
    return pd.Index(targets).str.lower().str.startswith(CONTROLS)


def count(
    cell: np.ndarray | pd.Series,
    gene: np.ndarray | pd.Series,
    cells: Sequence[Any] | np.ndarray,
    genes: Sequence[str] | pd.Index,
) -> sp.csr_matrix:
    """Number of transcripts of each gene in each cell, CSR float32 `[n_cells, n_genes]`.

    Args:
        cell, gene: of each transcript, `[n]`. A transcript is skipped if its cell is not in `cells` or its gene not in
            `genes`.
    """
    row, column = pd.Index(cells).get_indexer(cell), pd.Index(genes).get_indexer(gene)
    known = (row >= 0) & (column >= 0)
    ones = np.ones(known.sum(), np.float32)
    return sp.coo_matrix((ones, (row[known], column[known])), shape=(len(cells), len(genes))).tocsr()


def mask_centres(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells of a mask `[h, w]`, which is 0 outside cells: ids `[n]`, and centres (x, y) in pixels `[n, 2]`.

    A pixel spans [i, i + 1), so the middle of the first is at 0.5.
    """
    rows, columns = np.nonzero(mask)
    ids, cell = np.unique(mask[rows, columns], return_inverse=True)
    size = np.bincount(cell)
    return ids, np.stack([np.bincount(cell, columns), np.bincount(cell, rows)], axis=1) / size[:, None] + 0.5


def share_inside(mask: np.ndarray, x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> float:
    """Share of the transcripts at (x, y) pixels `[n]` whose pixel of the mask `[h, w]` is their cell `[n]`.

    1 if there are no transcripts.
    """
    column, row = np.floor([x, y]).astype(int)
    on = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    return float((mask[row[on], column[on]] == cell[on]).sum() / len(cell)) if len(cell) else 1.0


def polygon_centre(corners: np.ndarray) -> np.ndarray:
    """Centre of the area of a polygon, `[2]`, from its corners (x, y) `[k, 2]`; the last corner repeats the first."""
    middle = corners.mean(axis=0)
    a, b = corners[:-1] - middle, corners[1:] - middle
    twice_area = a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]
    return middle + ((a + b) * twice_area[:, None]).sum(axis=0) / (3 * twice_area.sum())


def within(points: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Index of the polygon around each point (x, y) `[n, 2]`, int `[n]`: -1 if there is none, the last of several."""
    from skimage.measure import points_in_poly

    polygon = np.full(len(points), -1)
    order = np.argsort(points[:, 1])
    ordered = points[order]
    for number, corners in enumerate(polygons):
        low, high = np.searchsorted(ordered[:, 1], [corners[:, 1].min(), corners[:, 1].max()])
        near = low + np.flatnonzero(np.abs(ordered[low:high, 0] - corners[0, 0]) <= np.ptp(corners[:, 0]))
        polygon[order[near[points_in_poly(ordered[near], corners)]]] = number
    return polygon


def cell_slide(
    counts: sp.csr_matrix,
    genes: Sequence[str] | pd.Index,
    cells: Sequence[Any] | np.ndarray,
    pixel: np.ndarray,
    *,
    name: str,
    donor: str,
    region: str,
    image: dict[str, Any] | None,
    microns_per_pixel: float,
    pitch: float,
) -> ad.AnnData:
    """A slide of cells, binned at a pitch in µm.

    It is also a table in the convention of SpatialData: obs["cell_ID"] are the instances of the element obs["fov"], and
    obsm["spatial"] are their positions in it.

    Args:
        pixel: (x, y) of each centre in pixels of the image, `[n_cells, 2]`.
        image: `uns["image"]`; None: declared absent.

    Raises:
        UnitBenchError: the pitch makes a lattice that the cells cannot fill.
    """
    x, y = np.asarray(pixel).T * microns_per_pixel
    try:
        laid = lattice.binned(y, x, pitch, "µm")
    except UnitBenchError as error:
        raise UnitBenchError(f"slide {name}", error.cause, error.remedy) from None
    slide = make_slide(
        counts,
        genes,
        [f"{region}_{cell}" for cell in cells],
        name=name,
        donor=donor,
        position=laid.position,
        lattice=laid.cell,
        lattice_record=laid.record,
    )
    slide.obs["cell_ID"] = np.asarray(cells)
    slide.obs["fov"] = pd.Categorical([region] * len(cells))
    slide.obsm["spatial"] = np.asarray(pixel, np.float32)
    slide.uns["spatialdata_attrs"] = {"region": region, "region_key": "fov", "instance_key": "cell_ID"}
    if image is not None:
        slide.obsm["pixel"] = np.asarray(pixel, np.float32)
        slide.uns["image"] = image
    return slide
