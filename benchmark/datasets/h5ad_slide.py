"""One slide from a `.h5ad` file that is laid out as its description says."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data import labels, lattice
from benchmark.data.download import check_file
from benchmark.data.image import rgb
from benchmark.data.names import check_donor
from benchmark.data.slide import check_counts, check_slide, make_slide
from benchmark.datasets.description import Description, Grid, InObs, InUns, Origin, Picture
from benchmark.datasets.h5ad_file import read_file

if TYPE_CHECKING:
    import anndata as ad

DROP = "drop those spots, or give their positions"


def read_slide(path: Path, about: Description, digest: str | None = None) -> ad.AnnData:
    """The slide in the schema of `benchmark/data/slide.py`. Spots off the tissue are left out, and counted.

    Args:
        digest: the sha256 that the file should have, if it is known.

    Raises:
        UnitBenchError: the file is missing, damaged, altered or not as described.
    """
    if digest and path.is_file():
        check_file(path, digest)
    data = read_file(path)
    off = _off_tissue(data)
    data = data[~off].copy() if off.any() else data
    counts, genes = _counts(data, about.counts, path)
    laid = _lay(data, about.lattice, path)
    donor, group = donor_and_group(data, about, path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")  # `check_slide` refuses them, in one line
        slide = make_slide(
            counts,
            genes,
            data.obs_names,
            name=path.stem,
            donor=donor,
            group=group,
            position=laid.position,
            lattice=laid.cell,
            lattice_record=laid.record,
        )
    slide.uns["join"] = {"spots_off_the_tissue_left_out": int(off.sum())} | _add_labels(slide, data, about)
    if about.image:
        slide.obsm["pixel"], slide.uns["image"] = _image(data, about.image, about.lattice.pitch, path)
    return check_slide(slide, path)


def _off_tissue(data: ad.AnnData) -> np.ndarray:
    """Which spots are off the tissue, as Space Ranger marks them: obs["in_tissue"] is 0. Bool `[n_spots]`."""
    if "in_tissue" not in data.obs:
        return np.zeros(data.n_obs, dtype=bool)
    return pd.to_numeric(data.obs["in_tissue"].astype(object), errors="coerce").to_numpy() == 0


def _counts(data: ad.AnnData, chosen: str, path: Path) -> tuple[sp.spmatrix | np.ndarray, pd.Index]:
    """The counts `[n_spots, n_genes]` that the description chooses, and their genes.

    Raises:
        UnitBenchError: they are absent, or no raw counts. The line then names the part of the file that has some.
    """
    parts = {"X": data.X} | {f"layers/{name}": data.layers[name] for name in data.layers}
    if data.raw is not None:
        parts["raw"] = data.raw.X
    if chosen not in parts:
        raise UnitBenchError(path, f"no counts: there is no {chosen}", f"correct `counts`; {nearest(chosen, parts)}")
    try:
        if parts[chosen] is None:
            raise UnitBenchError(path, f"no counts: {chosen} is empty", f"put the raw counts into {chosen}")
        check_counts(parts[chosen], path)
    except UnitBenchError as error:
        raise UnitBenchError(path, error.cause, _better(parts) or error.remedy) from None
    return parts[chosen], data.raw.var_names if chosen == "raw" else data.var_names


def _better(parts: dict[str, Any]) -> str:
    """The remedy that names a part of the file with raw counts; empty if there is none."""
    for name, values in parts.items():
        try:
            if values is not None:
                check_counts(values, name)
                return f"{name} holds whole numbers: set `counts: {name}` in the description"
        except UnitBenchError:
            continue
    return ""


def _add_labels(slide: ad.AnnData, data: ad.AnnData, about: Description) -> dict[str, int]:
    """Add the labels and the other kept columns. A column without any label is left out: the slide is unlabelled.

    Returns:
        How many labels were read as missing, of each column that has such.
    """
    lost = {}
    for column, name in about.columns.items():
        if column in data.obs:
            cleaned = labels.clean(data.obs[column], about.unlabelled if name == "label" else ())
            lost[f"values_of_{name}_read_as_missing"] = int(data.obs[column].notna().sum() - (cleaned.codes >= 0).sum())
            if len(cleaned.categories):
                slide.obs[name] = cleaned
    return lost


def donor_and_group(data: ad.AnnData, about: Description, path: Path) -> tuple[str, str]:
    """Donor and group of the slide; the group is the donor, unless the description gives another.

    Raises:
        UnitBenchError: one of them is not where the description says, or is missing there.
    """
    return _value(data, about.donor, path, "donor"), _value(data, about.group or about.donor, path, "group")


def _value(data: ad.AnnData, origin: Origin, path: Path, what: str) -> str:
    """The donor or group of the slide, from where the description says."""
    if isinstance(origin, InObs):
        values = _column(data, origin.obs, path, f"no {what}").unique()
        if len(values) != 1:
            raise UnitBenchError(
                path, f"{len(values)} values of {what} in obs[{origin.obs!r}]", "give one slide in each file"
            )
        value = values[0]
    else:
        key, known, where = (
            (origin.uns, data.uns, "uns") if isinstance(origin, InUns) else (path.stem, origin, "description")
        )
        if key not in known:
            raise UnitBenchError(path, f"no {what}: {key!r} is not in its {where}", nearest(key, known))
        value = known[key]
    if np.size(value) != 1 or isinstance(value, dict):
        raise UnitBenchError(path, f"the {what} is no single value, but {str(value)[:60]!r}", f"give one {what}")
    check_donor(name := labels.text(np.asarray(value, dtype=object).item()), path, what)
    return name


def _lay(data: ad.AnnData, grid: Grid, path: Path) -> lattice.Lattice:
    """The spots on the lattice."""
    if grid.kind == "binned":
        across, down = _xy(data, grid.spatial, path).T
    else:
        down, across = (
            _numbers(_column(data, name, path, "positions are missing"), f"obs[{name!r}]", path)
            for name in (grid.row, grid.column)
        )
    lay = {"square": lattice.square, "hex": lattice.hexagonal, "binned": lattice.binned}[grid.kind]
    try:
        return lay(down, across, grid.pitch, grid.unit, grid.shape)
    except UnitBenchError as error:
        raise UnitBenchError(path, error.cause, error.remedy) from None


def _xy(data: ad.AnnData, key: str, path: Path) -> np.ndarray:
    """The (x, y) of a key of obsm, `[n_spots, 2]`: the columns x and y of a table that has them, else the first two."""
    if key not in data.obsm:
        raise UnitBenchError(path, f"positions are missing: no obsm[{key!r}]", nearest(key, data.obsm))
    table = data.obsm[key]
    table = pd.DataFrame(table.toarray() if sp.issparse(table) else table)
    if table.shape[1] < 2:
        raise UnitBenchError(path, f"positions are missing: obsm[{key!r}] has one column", "give x and y")
    table = table[["x", "y"]] if {"x", "y"} <= set(table) else table.iloc[:, :2]
    return np.stack([_numbers(table[name], f"obsm[{key!r}]", path) for name in table], axis=1)


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
        raise UnitBenchError(path, f"positions are missing: {lost.sum()} spot(s) have none in {where}", DROP)
    return numbers


def _image(data: ad.AnnData, wanted: Picture, pitch: float, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """The spots' (x, y) `[n_spots, 2]` at full resolution, and the image that the slide carries.

    The distance between neighbouring spots is the lattice's pitch in µm, which gives the image's scale.
    """
    from scipy.spatial import KDTree

    pixel = _xy(data, "spatial", path).astype(np.float32)
    try:
        (library,) = data.uns["spatial"].values()
        pixels = np.asarray(library["images"][wanted.resolution])
        scale = float(library["scalefactors"][f"tissue_{wanted.resolution}_scalef"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnitBenchError(
            path, f"no {wanted.resolution} image in uns['spatial'] ({error})", "drop `image` from the description"
        ) from None
    step = np.median(KDTree(pixel).query(pixel, k=2)[0][:, 1])
    if not (scale > 0 and step > 0 and np.isfinite(scale)):
        cause = f"the image has scale {scale:g}, and neighbouring spots are {step:g} pixels apart"
        raise UnitBenchError(path, cause, "correct the scale factor, or obsm['spatial']")
    record = {"stain": wanted.stain, "kind": wanted.kind, "pixels": rgb(pixels, path), "scale": scale}
    return pixel, record | {"microns_per_pixel": float(pitch / (step * scale))}


def _column(data: ad.AnnData, name: str, path: Path, problem: str) -> pd.Series:
    """A column of obs; `problem` is what its absence means."""
    if name not in data.obs:
        raise UnitBenchError(path, f"{problem}: no obs[{name!r}]", f"columns: {', '.join(data.obs.columns) or 'none'}")
    return data.obs[name]
