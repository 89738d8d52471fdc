"""CosMx: single cells from transcripts, cell masks and images in the folders of the vendor; a slide for each field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.data.slide import check_slide
from benchmark.datasets.cell_folder import CellDescription, CellFolder
from benchmark.datasets.cells import cell_slide, count, is_control, mask_centres, share_inside

if TYPE_CHECKING:
    import anndata as ad

LEAST_INSIDE = 0.9  # share of a field's transcripts that lie in the mask of their own cell
ONE_SEGMENTATION = "give mask and transcripts of one segmentation"
COLUMNS = {
    "fov": np.int32, "cell_ID": np.int32, "x_local_px": np.float64, "y_local_px": np.float64, "target": "category",
}  # fmt: skip
TIEPOINT = 33922  # GeoTIFF: pixel (0, 0, 0), then its (x, y, z); it is written if a mask is a part of its field


class CosmxDescription(CellDescription):
    """Masks and images are those of `files` in folders CellLabels and CellComposite, with names such as `…_F002.tif`.

    y_axis: "up" if y_local_px grows towards the first row of the image, as in the first public data sets.
    """

    y_axis: Literal["up", "down"]


class Cosmx(CellFolder):
    """CosMx fields of view, described by a short YAML file such as config/datasets/cosmx_lung12_mini.yaml."""

    kind: ClassVar = CosmxDescription

    def slides(self) -> Iterator[ad.AnnData]:
        """The fields of view, one at a time. All have the genes of the whole table.

        Raises:
            UnitBenchError: a file is missing or damaged, a mask and the transcripts name different cells or do not lie
                on each other, or a field lacks an image that is not declared absent.
        """
        transcripts = self.table(self.about.transcripts, COLUMNS)
        targets = transcripts["target"].cat.categories
        genes = targets[~is_control(targets)]
        for fov, path in self._paths("CellLabels").items():
            yield self._slide(fov, self.locate(path), transcripts[transcripts["fov"] == fov], genes)

    def names(self) -> list[str]:
        return [_name(fov) for fov in self._paths("CellLabels")]

    def _paths(self, folder: str) -> dict[int, str]:
        """Path of each field's file in one of the vendor's folders."""
        paths = {int(m[1]): m[0] for p in self.about.files if (m := re.search(rf"^.*{folder}/.*_F(\d+)\.\w+$", p))}
        if not paths and folder == "CellLabels":
            raise UnitBenchError(self.describe, "no cell masks: no CellLabels/…_F<number>.tif", "add them to `files`")
        return dict(sorted(paths.items()))

    def _slide(self, fov: int, mask_path: Path, transcripts: pd.DataFrame, genes: pd.Index) -> ad.AnnData:
        image = None
        if self.about.images:
            if fov not in (images := self._paths("CellComposite")):
                raise UnitBenchError(
                    self.describe, f"no image of field {fov}", "add it to `files`, or declare `images: {}`"
                )
            image = self.image(images[fov])
        mask, left, top = read_mask(mask_path)
        cells, centres = mask_centres(mask)
        inside = transcripts[transcripts["cell_ID"] > 0]
        check_same_cells(cells, inside["cell_ID"].unique(), mask_path, self.about.transcripts)
        self._check_y_axis(mask, left, top, inside, mask_path)
        slide = cell_slide(
            count(inside["cell_ID"], inside["target"], cells, genes),
            genes,
            cells,
            centres,
            name=_name(fov),
            donor=self.about.donor,
            region=str(fov),
            image=image,
            microns_per_pixel=self.about.microns_per_pixel,
            pitch=self.about.pitch,
        )
        slide.uns["join"] = {
            "transcripts_outside_cells": len(transcripts) - len(inside),
            "transcripts_of_control_probes": int((~inside["target"].isin(genes)).sum()),
        }
        return check_slide(slide, mask_path)

    def _check_y_axis(self, mask: np.ndarray, left: float, top: float, inside: pd.DataFrame, path: Path) -> None:
        """Raises UnitBenchError if the mask does not lie on its transcripts: its y axis may be upside down."""
        # In both axes a whole number is the middle of a pixel: measured on the masks of Lung12.
        x = inside["x_local_px"].to_numpy() - left + 0.5
        up = top - inside["y_local_px"].to_numpy() + 0.5
        share = {
            axis: share_inside(mask, x, y, inside["cell_ID"].to_numpy())
            for axis, y in {"up": up, "down": len(mask) - up}.items()
        }
        stated = share.pop(self.about.y_axis)
        if stated < LEAST_INSIDE:
            ((other, better),) = share.items()
            remedy = f"set `y_axis: {other}`, where {better:.0%} do" if better >= LEAST_INSIDE else ONE_SEGMENTATION
            cause = f"{stated:.0%} of the transcripts lie in the mask of their cell, y_axis {self.about.y_axis}"
            raise UnitBenchError(path, cause, remedy)


def check_same_cells(masked: np.ndarray, named: np.ndarray, path: Path, table: str) -> None:
    """Raises UnitBenchError if a mask and a table name different cells."""
    for cells, cause in (
        (np.setdiff1d(masked, named), f"that {table} does not name"),
        (np.setdiff1d(named, masked), "fewer than its transcripts name"),
    ):
        if len(cells):
            raise UnitBenchError(path, f"{len(cells)} cell(s) {cause}, such as {cells[0]}", ONE_SEGMENTATION)


def read_mask(path: Path) -> tuple[np.ndarray, float, float]:
    """Cell of each pixel, int32 `[h, w]`, and the (x, y) of the first pixel's corner in its field, with y up.

    Raises:
        UnitBenchError: the file cannot be read, or its pixels are not cell numbers.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            tie = getattr(file, "tag_v2", {}).get(TIEPOINT)
            mask = np.asarray(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnitBenchError(path, f"cannot be read ({error})", "replace the file") from None
    if mask.ndim != 2 or not np.array_equal(mask, np.rint(mask)) or mask.min() < 0:
        raise UnitBenchError(path, "no cell mask: its pixels are not whole numbers from 0", "give the CellLabels file")
    left, top = tie[3:5] if tie else (0, mask.shape[0])
    return mask.astype(np.int32), left, top


def _name(fov: int) -> str:
    return f"F{fov:03d}"
