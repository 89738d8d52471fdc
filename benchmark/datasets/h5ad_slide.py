"""One slide of a `.h5ad` file or `.zarr` store that is laid out as its description says."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data import labels
from benchmark.data.image import rgb
from benchmark.data.slide import check_counts, check_slide, make_slide
from benchmark.datasets.description import Description, Grid, Picture
from benchmark.datasets.genes import Genes, named
from benchmark.datasets.h5ad_part import Part, donor_and_group
from benchmark.datasets.h5ad_positions import lay, xy
from benchmark.datasets.label_table import LabelJoin

if TYPE_CHECKING:
    import anndata as ad


def read_slide(whole: Part, about: Description, table: LabelJoin | None = None) -> ad.AnnData:
    """The slide in the schema of `benchmark/data/slide.py`. Spots off the tissue are left out, and counted.

    Args:
        table: labels by barcode, where the description has them.

    Raises:
        UnitBenchError: the slide is damaged, or not as described.
    """
    part = whole.on_tissue()
    counts, genes, noted = _counts(part, about.counts, about.genes)
    laid = lay(part, about.lattice)
    donor, group = donor_and_group(part, about)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")  # `check_slide` refuses them, in one line
        slide = make_slide(
            counts,
            genes,
            part.obs.index,
            name=part.name,
            donor=donor,
            group=group,
            position=laid.position,
            lattice=laid.cell,
            lattice_record=laid.record,
        )
    slide.uns["join"] = {"spots_off_the_tissue_left_out": len(whole.obs) - len(part.obs)} | noted
    slide.uns["join"] |= _add_labels(slide, part.obs, about)
    if table:
        found, noted = table.labels(part.name, slide.obs_names)
        slide.uns["join"] |= noted
        if len(found.categories):
            slide.obs["label"] = found
    if about.image:
        slide.obsm["pixel"], slide.uns["image"] = _image(part, about.image, about.lattice)
    return check_slide(slide, part.path)


def _counts(
    part: Part, chosen: str, about: Genes | None
) -> tuple[sp.csr_matrix | np.ndarray, pd.Index, dict[str, int]]:
    """The counts `[n_spots, n_genes]` that the description chooses, the names of their genes, and what is to note.

    Raises:
        UnitBenchError: they are absent, or no raw counts. The line then names the part of the file that has some. Or
            genes cannot be named as described.
    """
    file = part.file
    places = {"X": "X"} | {f"layers/{name}": f"layers/{name}" for name in file.keys("layers")}
    if "raw" in file:
        places["raw"] = "raw/X"
    if chosen not in places:
        remedy = f"correct `counts`; {nearest(chosen, places)}"
        raise UnitBenchError(part.path, f"no counts: there is no {chosen}", remedy)
    try:
        if places[chosen] not in file:
            raise UnitBenchError(part.path, f"no counts: {chosen} is empty", f"put the raw counts into {chosen}")
        counts = file.read_rows(places[chosen], part.spots)
        check_counts(counts, part.path)
    except UnitBenchError as error:
        raise UnitBenchError(part.path, error.cause, _better(part, places) or error.remedy) from None
    var = file.read("raw/var" if chosen == "raw" else "var")
    if about is None:
        return counts, var.index, {}
    return named(sp.csr_matrix(counts), var.index, var, about, part.path)


def _better(part: Part, places: Mapping[str, str]) -> str:
    """The remedy that names a part of the file with raw counts; empty if there is none."""
    for name, place in places.items():
        try:
            if place in part.file:
                check_counts(part.file.read_rows(place, part.spots), name)
                return f"{name} holds whole numbers: set `counts: {name}` in the description"
        except UnitBenchError:
            continue
    return ""


def _add_labels(slide: ad.AnnData, obs: pd.DataFrame, about: Description) -> dict[str, int]:
    """Add the labels and the other kept columns. A column without any label is left out: the slide is unlabelled.

    Returns:
        How many labels were read as missing, of each column that has such.
    """
    lost = {}
    for column, name in about.columns.items():
        if column in obs:
            cleaned = labels.clean(obs[column], about.unlabelled if name == "label" else ())
            lost[f"values_of_{name}_read_as_missing"] = int(obs[column].notna().sum() - (cleaned.codes >= 0).sum())
            if len(cleaned.categories):
                slide.obs[name] = cleaned
    return lost


def _image(part: Part, wanted: Picture, grid: Grid) -> tuple[np.ndarray, dict[str, Any]]:
    """The spots' (x, y) `[n_spots, 2]` at full resolution, and the image that the slide carries.

    Unless the description has µm per pixel, the distance between neighbouring spots, which is the lattice's pitch in
    µm, gives the image's scale.
    """
    from scipy.spatial import KDTree

    pixel = xy(part, "spatial").astype(np.float32)
    try:
        known = part.file.keys("uns/spatial")
        (name,) = [part.name] if part.name in known else known
        library = part.file.read(f"uns/spatial/{name}")
        pixels = np.asarray(library["images"][wanted.resolution])
        scale = float(library["scalefactors"][f"tissue_{wanted.resolution}_scalef"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnitBenchError(
            part.path, f"no {wanted.resolution} image in uns['spatial'] ({error})", "drop `image` from the description"
        ) from None
    step = np.median(KDTree(pixel).query(pixel, k=2)[0][:, 1])
    if not (scale > 0 and step > 0 and np.isfinite(scale)):
        cause = f"the image has scale {scale:g}, and neighbouring spots are {step:g} pixels apart"
        raise UnitBenchError(part.path, cause, "correct the scale factor, or obsm['spatial']")
    record = {"stain": wanted.stain, "kind": wanted.kind, "pixels": rgb(pixels, part.path), "scale": scale}
    return pixel, record | {"microns_per_pixel": float((grid.scale or grid.pitch / step) / scale)}
