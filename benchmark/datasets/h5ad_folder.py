"""Any folder of `.h5ad` slides, described by a short YAML file such as config/datasets/dlpfc.yaml."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmark.core.config import Frozen
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import sha256
from benchmark.data import lattice
from benchmark.data.download import check_file
from benchmark.data.slide import check_slide, make_slide
from benchmark.data.source import local_folder
from benchmark.datasets.description import Description, Grid, InObs, InUns, Place, read_description

if TYPE_CHECKING:
    import anndata as ad


class H5adFolder(Frozen):
    """`describe`: path of the YAML file."""

    describe: Path

    def record(self) -> dict:
        """What this dataset is; donors and groups are read from the slides."""
        about = self._description
        individuals = {path.stem: _individual(_read(path, backed="r"), about, path) for path in self._paths()}
        return {
            **about.model_dump(include={"name", "title", "source", "licence", "citation", "technology", "labels"}),
            "files": [
                {
                    "path": path.name,
                    "sha256": about.files.get(path.name) or sha256(path),
                    "bytes": path.stat().st_size,
                }
                for path in self._paths()
            ],
            "donors": {slide: donor for slide, (donor, _) in individuals.items()},
            "groups": {slide: group for slide, (_, group) in individuals.items()},
        }

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, named after their files, read one at a time.

        Raises:
            UnitBenchError: the description or a slide is missing, damaged, altered or not as described.
        """
        for path in self._paths():
            yield read_slide(path, self._description)

    @cached_property
    def _description(self) -> Description:
        return read_description(self.describe)

    def _paths(self) -> list[Path]:
        about = self._description
        folder = about.folder if about.folder.is_absolute() else local_folder(about.folder)
        if folder is None or not folder.is_dir():
            raise UnitBenchError(
                self.describe, f"no folder {about.folder}", "set UNITBENCH_DATA to the folder that holds it"
            )
        paths = [folder / name for name in about.files] or sorted(folder.glob("*.h5ad"))
        if not paths:
            raise UnitBenchError(folder, "no .h5ad files", "correct `folder` in the description")
        return paths


def read_slide(path: Path, about: Description) -> ad.AnnData:
    """One slide in the schema, from a `.h5ad` laid out as the description says."""
    if (digest := about.files.get(path.name)) and path.is_file():
        check_file(path, digest)
    data = _read(path)
    if data.X is None:
        raise UnitBenchError(path, "no counts: X is empty", "put the raw counts into X")
    place = _place(data, about.lattice, path)
    donor, group = _individual(data, about, path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")  # refused below, in one line
        slide = make_slide(
            data.X,
            data.var_names,
            data.obs_names,
            name=path.stem,
            donor=donor,
            group=group,
            position=place.position,
            lattice=place.cell,
            lattice_record=place.record,
            label=_label(data, about, path),
        )
    if about.image:
        slide.obsm["pixel"], slide.uns["image"] = _image(data, about, path)
    return check_slide(slide, path)


def _image(data: ad.AnnData, about: Description, path: Path) -> tuple[np.ndarray, dict]:
    """The spots' (x, y) `[n_spots, 2]` at full resolution, and the image that the slide carries.

    Its scale in µm follows from the distance of neighbouring spots, which is the lattice's pitch.
    """
    from scipy.spatial import KDTree

    wanted = about.image
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
    return pixel, record | {"microns_per_pixel": float(about.lattice.pitch / (step * scale))}


def _read(path: Path, backed: str | None = None) -> ad.AnnData:
    """The file as it is; `backed`: without its counts."""
    from anndata import read_h5ad  # dear to import, and most commands read no slide

    if not path.is_file():
        raise UnitBenchError(path, "file not found", "restore it or correct `files` in the description")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*names are not unique")
        try:
            return read_h5ad(path, backed=backed)
        except (OSError, KeyError, ValueError) as error:
            raise UnitBenchError(path, f"cannot be read ({str(error).splitlines()[0]})", "replace it") from error


def _individual(data: ad.AnnData, about: Description, path: Path) -> tuple[str, str]:
    """Donor and group of the slide."""
    return _value(data, about.donor, path, "donor"), _value(data, about.group or about.donor, path, "group")


def _place(data: ad.AnnData, grid: Grid, path: Path) -> lattice.Lattice:
    if grid.kind == "binned":
        if grid.spatial not in data.obsm:
            raise UnitBenchError(
                path, f"positions are missing: no obsm[{grid.spatial!r}]", nearest(grid.spatial, data.obsm)
            )
        across, down = np.asarray(data.obsm[grid.spatial], dtype=float)[:, :2].T
    else:
        down, across = (_column(data, name, path, "positions are missing") for name in (grid.row, grid.column))
        down, across = down.to_numpy(dtype=float), across.to_numpy(dtype=float)
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
    if about.label is None:
        return None
    label = _column(data, about.label, path, "the label column is absent").astype("string").astype(object)
    return label.mask(label.isin(about.unlabelled))


def _value(data: ad.AnnData, place: Place, path: Path, what: str) -> str:
    """The slide's donor or group."""
    if isinstance(place, InObs):
        values = _column(data, place.obs, path, f"no {what}").unique()
        if len(values) != 1:
            raise UnitBenchError(
                path, f"{len(values)} values of {what} in obs[{place.obs!r}]", "one file holds one slide"
            )
        return str(values[0])
    key, known, where = (place.uns, data.uns, "uns") if isinstance(place, InUns) else (path.stem, place, "description")
    if key not in known:
        raise UnitBenchError(path, f"no {what}: {key!r} is not in its {where}", nearest(key, known))
    return str(known[key])


def _column(data: ad.AnnData, name: str, path: Path, lack: str) -> pd.Series:
    if name not in data.obs:
        raise UnitBenchError(path, f"{lack}: no obs[{name!r}]", f"columns: {', '.join(data.obs.columns) or 'none'}")
    return data.obs[name]
