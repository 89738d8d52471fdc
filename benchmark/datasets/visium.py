"""Visium: spots of a folder `outs` of Space Ranger, all of its versions; a slide for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import Field

from benchmark.core.typed_values import Frozen
from benchmark.data.lattice import Lattice, hexagonal
from benchmark.datasets.sample_description import SampleDescription
from benchmark.datasets.samples import Sample, SampleFolder, placed
from benchmark.datasets.tenx import find, of_barcodes, read_image, read_matrix, read_rows, scale_factor

MATRIX = ("filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix")
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
NO_IMAGE = "restore it, or drop `image` from the description"
PITCH_MICRONS = 100.0  # centre to centre


class TissueImage(Frozen):
    """The file tissue_<resolution>_image.png."""

    stain: str = Field(description="Such as H&E.")
    resolution: Literal["hires", "lowres"] = Field(default="hires", description="Of the two that Space Ranger writes.")
    kind: Literal["morphology", "colour"] = Field(
        default="colour", description="`colour` where a spot is too few pixels for its cells to show."
    )
    light: Literal["bright field", "fluorescence"] = Field(default="bright field", description="How it was taken.")


class VisiumDescription(SampleDescription):
    """The keys of every reader, and the image."""

    technology: ClassVar = "10x Visium"
    image: TissueImage | None = Field(default=None, description="The image of the tissue. Null: it is left out.")


class Visium(SampleFolder):
    """Spots of Visium as Space Ranger writes them, described by a short YAML file."""

    kind: ClassVar[type[VisiumDescription]] = VisiumDescription

    def parts(self, name: str) -> dict[str, Path]:
        folder = self.place(name)
        parts = {"matrix": find(folder, *MATRIX), "positions": find(folder / "spatial", *POSITIONS)}
        if image := self.about.image:
            parts["image"] = find(folder / "spatial", f"tissue_{image.resolution}_image.png", remedy=NO_IMAGE)
            parts["scale"] = find(folder / "spatial", "scalefactors_json.json")
        return parts

    def load(self, parts: Mapping[str, Path]) -> Sample:
        """Spots at their place in the array. Those off the tissue are left out.

        Raises:
            UnitBenchError: a file is damaged, or a spot has no position.
        """
        data, noted = read_matrix(parts["matrix"])
        rows = read_rows(parts["positions"], COLUMNS)
        spots = of_barcodes(rows, data.obs_names, parts["positions"], parts["matrix"])
        bare = rows[~rows.index.isin(spots.index)]
        on = (spots["in_tissue"] != 0).to_numpy()
        noted["spots_off_the_tissue_left_out"] = int((~on).sum())
        noted["spots_on_the_tissue_without_counts"] = int((bare["in_tissue"] == 1).sum())
        data, spots = data[on], spots[on]
        laid = self.lay(spots, parts["positions"])
        if self.about.image is None:
            return Sample(data, laid, noted)
        pixel = spots[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
        return Sample(data, laid, noted, pixel=pixel, image=self._image(parts))

    def lay(self, spots: pd.DataFrame, where: Path) -> Lattice:
        return placed(hexagonal, spots["array_row"], spots["array_col"], PITCH_MICRONS, where)

    def _image(self, parts: Mapping[str, Path]) -> dict[str, Any]:
        about = self.about.image
        scale = scale_factor(parts["scale"], f"tissue_{about.resolution}_scalef")
        record = about.model_dump(include={"stain", "kind", "light"})
        return record | {"pixels": read_image(parts["image"]), "scale": scale}
