"""her2st: HER2-positive breast cancer by Spatial Transcriptomics, Andersson et al., Nat Commun 2021."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import read_json
from benchmark.core.typed_values import Frozen
from benchmark.data import lattice
from benchmark.data.slide import check_slide, make_slide
from benchmark.data.source import locate

if TYPE_CHECKING:
    import anndata as ad

PITCH_MICRONS = 200.0  # centre to centre; the spots themselves are 100 µm wide
UNLABELLED = "undetermined"


@cache
def source() -> dict[str, Any]:
    """The record in `her2st.json`: the source and the sha256 of each file."""
    return read_json(Path(str(files("benchmark.datasets") / "her2st.json")))


class Her2st(Frozen):
    """`only`: names of the slides to read, such as A1; all 36 if it is empty."""

    only: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """What this dataset is. The donor of a slide is the first letter of its name."""
        donors = {slide: slide[0] for slide in self._names()}
        return source() | {"donors": donors, "groups": donors}

    def slides(self) -> Iterator[ad.AnnData]:
        """The slides, each with the genes of its own count matrix, read one at a time.

        Raises:
            UnitBenchError: a file is missing, truncated or altered, or there is no slide of that name.
        """
        yield from map(self.slide, self._names())

    def slide(self, name: str) -> ad.AnnData:
        """One slide."""
        return read_slide(name)

    def _names(self) -> list[str]:
        known = [PurePosixPath(path).name.removesuffix(".tsv.gz") for path in _files() if "/ST-cnts/" in path]
        for name in self.only:
            if name not in known:
                raise UnitBenchError("dataset 'her2st'", f"no slide {name!r}", nearest(name, known))
        return list(self.only) or known


def read_slide(name: str) -> ad.AnnData:
    """One slide: counts, the array and pixel coordinates of the spots, and labels if the pathologist gave them.

    `uns["join"]` has the numbers of rows in the coordinate and label files that match no row of counts.

    Raises:
        UnitBenchError: a file is missing, truncated or altered.
    """
    path = _locate(f"data/ST-cnts/{name}.tsv.gz")
    counts = _read_table(path, index_col=0, low_memory=False)
    spots = _read_table(_locate(f"data/ST-spotfiles/{name}_selection.tsv"))
    spots.index = spots["x"].astype(str) + "x" + spots["y"].astype(str)
    if len(lost := counts.index.difference(spots.index)):
        raise UnitBenchError(path, f"positions are missing: spot {lost[0]}", "replace the spot file")
    join = {"coordinates_without_counts": len(spots.index.difference(counts.index))}
    spots = spots.loc[counts.index]

    label = None
    if (labels_path := f"data/ST-pat/lbl/{name}_labeled_coordinates.tsv") in _files():
        labels = _read_labels(_locate(labels_path))
        join["labels_without_counts"] = len(labels.index.difference(counts.index))
        label = labels.reindex(counts.index)

    laid = lattice.square(spots["y"].to_numpy(), spots["x"].to_numpy(), PITCH_MICRONS, "µm")
    slide = make_slide(
        counts.to_numpy(dtype=np.float32),
        counts.columns,
        counts.index,
        name=name,
        donor=name[0],
        position=laid.position,
        lattice=laid.cell,
        lattice_record=laid.record,
        label=label,
    )
    slide.obsm["pixel"] = spots[["pixel_x", "pixel_y"]].to_numpy(dtype=np.float32)
    slide.uns["join"] = join
    if name in source()["images"]:
        slide.uns["image"] = _image(name, spots)
    return check_slide(slide, path)


def _read_labels(path: Path) -> pd.Series:
    """The label of each "<x>x<y>"; missing where undetermined. Rows without coordinates are dropped."""
    rows = _read_table(path).dropna(subset=["x", "y"])
    cell = rows[["x", "y"]].round().astype(int).astype(str)
    label = rows["label"].str.strip().replace(UNLABELLED, np.nan)
    return pd.Series(label.to_numpy(), index=cell["x"] + "x" + cell["y"])


def _image(name: str, spots: pd.DataFrame) -> dict[str, Any]:
    """The record of the H&E image: `obsm["pixel"]` times `scale` is (x, y) in the file, of `microns_per_pixel`.

    `annotation` is a rectangle of the file that shows the pathologist's labels. No tile may show it.
    """
    image = source()["images"][name]
    steps = [np.polyfit(spots[axis], spots[f"pixel_{axis}"], deg=1)[0] for axis in "xy"]
    scale = image["scale"][0] / image["scale"][1]
    file = _files()[image["path"]]
    return image | {
        "folder": "her2st",  # with the url: where `benchmark.data.source.locate` finds it
        "url": source()["url"],
        "sha256": file["sha256"],
        "bytes": file["bytes"],
        "stain": "H&E",
        "kind": "morphology",
        "scale": scale,
        "microns_per_pixel": PITCH_MICRONS / (np.mean(steps) * scale),
    }


@cache
def _files() -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in source()["files"]}


def _locate(path: str) -> Path:
    return locate("her2st", _files()[path], source()["url"])


def _read_table(path: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", **options)
    except (OSError, EOFError, ValueError) as error:
        raise UnitBenchError(path, f"cannot be read ({error})", "replace it or delete it") from error
