"""SpatialData: the rows of a table of any store, at the centres of the shapes or masks that it annotates."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from benchmark.core.config import Frozen
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.labels import text
from benchmark.data.lattice import Lattice, binned, hexagonal, square
from benchmark.datasets.description import Name
from benchmark.datasets.genes import Genes
from benchmark.datasets.samples import Sample, SampleDescription, SampleFolder, placed
from benchmark.datasets.spatialdata_store import centres, named_element, read_image, read_table
from benchmark.datasets.tenx import of_barcodes

if TYPE_CHECKING:
    import anndata as ad

ARRAY = ("array_row", "array_col")


class ImageElement(Frozen):
    """An image of the store."""

    element: str = Field(description="Its name.")
    stain: str = Field(description="Such as H&E.")
    kind: Literal["morphology", "colour"] = Field(
        description="`colour` where a spot is too few pixels for its cells to show."
    )
    channel: str | None = Field(default=None, description="The only channel to show. Null: the image has one or three.")
    level: int = Field(default=0, ge=0, description="Of its pyramid: 0 is the finest.")
    light: Literal["bright field", "fluorescence"] = Field(default="bright field", description="How it was taken.")


class SpatialDataDescription(SampleDescription):
    """The keys of every reader, and where what lies in the store."""

    technology: ClassVar = "as stored in SpatialData"

    genes: Genes | None = Field(default=None, description="What genes are called. Null: as in the index of var.")
    table: str | None = Field(default=None, description="Its name. Null: the only one of the store.")
    counts: str = Field(
        default="X", pattern="^(X|layers/.+)$", description="Where the raw counts are: `X`, or a layer of the table."
    )
    label: str | None = Field(default=None, description="Column of obs that holds the labels. Null: there are none.")
    region: Name | dict[Name, Name] | None = Field(
        default=None, description="The element that the spots are, or that of each slide. Null: the table's only one."
    )
    kind: Literal["binned", "square", "hex"] = Field(
        default="binned", description="Of the lattice. `square` and `hex` are read from obs: `array_row`, `array_col`."
    )
    pitch: float = Field(gt=0, description="Of the lattice, in µm.")
    coordinate_system: str = Field(default="global", description="In which positions are taken.")
    microns_per_unit: float | None = Field(
        default=None, gt=0, description="Of the coordinate system, 1 where it is in µm. `binned` needs it."
    )
    image: ImageElement | None = Field(default=None, description="An image of the store. Null: none.")

    @model_validator(mode="after")
    def _scaled(self) -> SpatialDataDescription:
        if self.kind == "binned" and self.microns_per_unit is None:
            raise ValueError("the lattice `binned` needs `microns_per_unit`: give it, 1 if the coordinates are in µm")
        return self


class SpatialDataStore(SampleFolder):
    """A store of SpatialData, described by a short YAML file. It needs the extra `spatialdata`."""

    kind: ClassVar = SpatialDataDescription

    def parts(self, name: str) -> dict[str, Path]:
        """The table, the element that it annotates, and the image: folders of the store."""
        about, store = self.about, self.place(name)
        table = named_element(store, ("tables",), about.table, "`table`")
        region = about.region.get(name) if isinstance(about.region, dict) else about.region
        if region is None:
            regions = _attributes(table)["region"]
            if len(regions) > 1:
                cause = f"{len(regions)} regions are annotated: {', '.join(regions)}"
                raise UnitBenchError(table, cause, "name that of each slide in `region`")
            region = regions[0]
        parts = {"matrix": table, "region": named_element(store, ("shapes", "labels"), region, "`region`")}
        if about.image:
            parts["image"] = named_element(store, ("images",), about.image.element, "`image.element`")
        return parts

