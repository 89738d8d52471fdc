"""One slide from a `.h5ad` file that is laid out as its description says."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data import lattice
from benchmark.data.download import check_file
from benchmark.data.slide import check_slide, make_slide
from benchmark.datasets.description import Description, Grid, InObs, InUns, Origin, Picture

if TYPE_CHECKING:
    import anndata as ad


def read_slide(path: Path, about: Description) -> ad.AnnData:
    """The slide in the schema of `benchmark/data/slide.py`.

    Raises:
        UnitBenchError: the file is missing, damaged, altered or not as described.
    """
    if (digest := about.files.get(path.name)) and path.is_file():
        check_file(path, digest)
    data = read_file(path)
    if data.X is None:
        raise UnitBenchError(path, "no counts: X is empty", "put the raw counts into X")
    laid = _lay(data, about.lattice, path)
    donor, group = donor_and_group(data, about, path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")  # `check_slide` refuses them, in one line
        slide = make_slide(
            data.X,
            data.var_names,
            data.obs_names,
            name=path.stem,
            donor=donor,
            group=group,
            position=laid.position,
            lattice=laid.cell,
            lattice_record=laid.record,
            label=_label(data, about, path),
        )
    if about.image:
        slide.obsm["pixel"], slide.uns["image"] = _image(data, about.image, about.lattice.pitch, path)
    return check_slide(slide, path)


def read_file(path: Path, backed: Literal["r"] | None = None) -> ad.AnnData:
    """The file as it is; `backed`: without its counts.

    Raises:
        UnitBenchError: the file is missing or damaged.
    """
    from anndata import read_h5ad  # slow to import, and most commands read no slide

    if not path.is_file():
        raise UnitBenchError(path, "file not found", "restore it or correct `files` in the description")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")
        try:
            return read_h5ad(path, backed=backed)
        except (OSError, KeyError, ValueError) as error:
            raise UnitBenchError(path, f"cannot be read ({str(error).splitlines()[0]})", "replace it") from error


def donor_and_group(data: ad.AnnData, about: Description, path: Path) -> tuple[str, str]:
    """Donor and group of the slide; the group is the donor, unless the description gives another.

    Raises:
        UnitBenchError: one of them is not where the description says.
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
        return str(values[0])
    if isinstance(origin, InUns):
        key, known, where = origin.uns, data.uns, "uns"
    else:
        key, known, where = path.stem, origin, "description"
    if key not in known:
        raise UnitBenchError(path, f"no {what}: {key!r} is not in its {where}", nearest(key, known))
    return str(known[key])


def _lay(data: ad.AnnData, grid: Grid, path: Path) -> lattice.Lattice:
    """The spots on the lattice."""
    if grid.kind == "binned":
        if grid.spatial not in data.obsm:
            raise UnitBenchError(
                path, f"positions are missing: no obsm[{grid.spatial!r}]", nearest(grid.spatial, data.obsm)
            )
        across, down = np.asarray(data.obsm[grid.spatial], dtype=float)[:, :2].T
    else:
        down, across = (
            _column(data, name, path, "positions are missing").to_numpy(dtype=float) for name in (grid.row, grid.column)
        )
    if lost := int((~np.isfinite(down + across)).sum()):
        raise UnitBenchError(
            path, f"positions are missing: {lost} spot(s) have none", "drop them or give their positions"
        )
    lay = {"square": lattice.square, "hex": lattice.hexagonal, "binned": lattice.binned}[grid.kind]
    try:
        return lay(down, across, grid.pitch, grid.unit, grid.shape)
    except UnitBenchError as error:
        raise UnitBenchError(path, error.cause, error.remedy) from None


def _label(data: ad.AnnData, about: Description, path: Path) -> pd.Series | None:
    """The label of each spot, missing where the description calls it unlabelled."""
    if about.label is None:
        return None
    label = _column(data, about.label, path, "the label column is absent").astype("string").astype(object)
    return label.mask(label.isin(about.unlabelled))


def _image(data: ad.AnnData, wanted: Picture, pitch: float, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """The spots' (x, y) `[n_spots, 2]` at full resolution, and the image that the slide carries.

    The distance between neighbouring spots is the lattice's pitch in µm, which gives the image's scale.
    """
    from scipy.spatial import KDTree

    try:
        (library,) = data.uns["spatial"].values()
        pixels = np.asarray(library["images"][wanted.resolution])
        scale = float(library["scalefactors"][f"tissue_{wanted.resolution}_scalef"])
        pixel = np.asarray(data.obsm["spatial"], np.float32)
    except (KeyError, ValueError, AttributeError) as error:
        raise UnitBenchError(
            path, f"no {wanted.resolution} image in uns['spatial'] ({error})", "drop `image` from the description"
        ) from None
    if pixels.dtype != np.uint8:
        pixels = (pixels * 255).round().astype(np.uint8)  # scanpy's are often of 0 to 1
    step = np.median(KDTree(pixel).query(pixel, k=2)[0][:, 1])
    record = {"stain": wanted.stain, "kind": wanted.kind, "pixels": pixels, "scale": scale}
    return pixel, record | {"microns_per_pixel": float(pitch / (step * scale))}


def _column(data: ad.AnnData, name: str, path: Path, problem: str) -> pd.Series:
    """A column of obs; `problem` is what its absence means."""
    if name not in data.obs:
        raise UnitBenchError(path, f"{problem}: no obs[{name!r}]", f"columns: {', '.join(data.obs.columns) or 'none'}")
    return data.obs[name]
