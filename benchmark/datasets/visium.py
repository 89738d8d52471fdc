"""Visium: spots of a folder `outs` of Space Ranger, all of its versions; a slide for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from benchmark.datasets.description import Grid, Picture
from benchmark.datasets.samples import SampleDescription, SampleFolder
from benchmark.datasets.tenx import find, of_barcodes, read_image, read_matrix, read_rows, scale_factor

if TYPE_CHECKING:
    import anndata as ad

MATRIX = ("filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix")
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
PITCH_MICRONS = 100.0  # centre to centre


class TissueImage(Picture):
    """The file tissue_<resolution>_image.png."""

    resolution: str = Field(default="hires", description="`hires` or `lowres`.", pattern="^(hires|lowres)$")
    kind: str = Field(
        default="colour",
        pattern="^(morphology|colour)$",
        description="`colour` where a spot is too few pixels for its cells to show.",
    )


class VisiumDescription(SampleDescription):
    """The keys of every reader, and the image."""

    technology: ClassVar = "10x Visium"
    image: TissueImage | None = Field(default=None, description="The image of the tissue. Null: it is left out.")

    @property
    def lattice(self) -> Grid:
        return Grid(kind="hex", pitch=PITCH_MICRONS, unit="µm")

    @property
    def picture(self) -> Picture | None:
        return self.image


class Visium(SampleFolder):
    """Spots of Visium as Space Ranger writes them, described by a short YAML file."""

    kind: ClassVar[type[VisiumDescription]] = VisiumDescription

    def parts(self, folder: Path) -> dict[str, Path]:
        parts = {"matrix": find(folder, *MATRIX), "positions": find(folder / "spatial", *POSITIONS)}
        if image := self.about.image:
            parts["image"] = find(folder / "spatial", f"tissue_{image.resolution}_image.png")
            parts["scale"] = find(folder / "spatial", "scalefactors_json.json")
        return parts

    def load(self, parts: Mapping[str, Path]) -> tuple[ad.AnnData, dict[str, int]]:
        """Spots with their place in the array and in the full image.

        Raises:
            UnitBenchError: a file is damaged, or a spot has no position.
        """
        data, noted = read_matrix(parts["matrix"])
        rows = read_rows(parts["positions"], COLUMNS)
        data.obs = of_barcodes(rows, data.obs_names, parts["positions"], parts["matrix"])
        data.obsm["spatial"] = data.obs[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
        others = rows[~rows.index.isin(data.obs_names)]
        noted["spots_on_the_tissue_without_counts"] = int((others["in_tissue"] == 1).sum())
        if image := self.about.image:
            key = f"tissue_{image.resolution}_scalef"
            data.uns["spatial"] = {
                "slide": {
                    "images": {image.resolution: read_image(parts["image"])},
                    "scalefactors": {key: scale_factor(parts["scale"], key)},
                }
            }
        return data, noted
