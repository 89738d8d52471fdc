"""SpatialData: the rows of a table of any store, at the centres of the shapes or masks that it annotates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from benchmark.core.errors import UnitBenchError
from benchmark.core.typed_values import Frozen
from benchmark.data.labels import text
from benchmark.data.slide import check_slide
from benchmark.datasets.description import Description
from benchmark.datasets.h5ad_file import opened
from benchmark.datasets.h5ad_folder import H5adFolder
from benchmark.datasets.h5ad_part import Part, parts
from benchmark.datasets.h5ad_slide import read_slide
from benchmark.datasets.label_table import LabelJoin
from benchmark.datasets.samples import microns_per_pixel
from benchmark.datasets.spatialdata_store import REGIONS, centres, find_element, read_image
from benchmark.datasets.tenx import of_barcodes

if TYPE_CHECKING:
    import anndata as ad

NOT_STATED = "not stated"


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


class SpatialDataDescription(Description):
    """The keys of `h5ad_folder`, of which fewer are needed, and where what lies in a store."""

    page: ClassVar[str] = "docs/readers.md"

    title: str = Field(default=NOT_STATED, description="What the tissue is, in words.")
    source: str = Field(default=NOT_STATED, description="Where the data come from.")
    licence: str = Field(default=NOT_STATED, description="Under which they may be used.")
    technology: str = Field(default=NOT_STATED, description="The assay, in words.")
    table: str | None = Field(default=None, description="Its name. Null: the only one of the store.")
    coordinate_system: str = Field(default="global", description="In which the centres are taken.")
    image: ImageElement | None = Field(default=None, description="An image of the store. Null: none.")


class SpatialData(H5adFolder):
    """Stores of SpatialData, described by a short YAML file. It needs the extra `spatialdata`."""

    kind: ClassVar = SpatialDataDescription

    @contextmanager
    def _opened(self, path: Path) -> Iterator[list[Part]]:
        about = self._description
        with opened(find_element(path, ("tables",), about.table, "table")) as file:
            slides = parts(file, about)
            names = [part.name for part in slides] if about.slide else [path.stem]
            found = cache(lambda region: centres(region, about.coordinate_system))
            yield [Annotation(file, name, part.spots, path, found) for name, part in zip(names, slides, strict=True)]

    def _within(self, path: Path) -> list[Path]:
        about = self._description
        image = [find_element(path, ("images",), about.image.element, "image.element")] if about.image else []
        with self._opened(path) as slides:
            regions = [slide.region for slide in slides]
        return [find_element(path, ("tables",), about.table, "table"), *regions, *image]

    @cached_property
    def _files(self) -> dict[str, Path]:
        folder = self._folder
        return {folder.name: folder} if (folder / "tables").is_dir() else super()._files

    def _read(self, part: Annotation, table: LabelJoin | None) -> ad.AnnData:
        about = self._description
        slide = read_slide(part, about.model_copy(update={"image": None}), table)
        if about.lattice.kind == "binned":
            slide.uns["join"]["shapes_without_counts"] = len(part.centres(part.region)) - len(part.instances.unique())
        if about.image:
            here = part.on_tissue().obsm("spatial")[["x", "y"]].to_numpy()
            slide.obsm["pixel"], slide.uns["image"] = self._image(part, here, slide.obsm["position"])
        return check_slide(slide, part.path)

    def _image(self, part: Annotation, here: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """The pixel (x, y) of each spot, `[n_spots, 2]`, and `uns["image"]`.

        Args:
            here: the centres (x, y) in the coordinate system, `[n_spots, 2]`.
            position: (y, x) in pitches, `[n_spots, 2]`.
        """
        about = self._description
        element = find_element(part.store, ("images",), about.image.element, "image.element")
        pixels, into = read_image(element, about.coordinate_system, about.image.level, about.image.channel)
        pixel = (np.c_[here, np.ones(len(here))] @ np.linalg.inv(into).T)[:, :2]
        scale = microns_per_pixel(pixel, position, about.lattice.pitch, element)
        record = about.image.model_dump(include={"stain", "kind", "light"})
        return pixel.astype(np.float32), record | {"pixels": pixels, "scale": 1.0, "microns_per_pixel": scale}


@dataclass(frozen=True)
class Annotation(Part):
    """A slide whose spots annotate shapes, or the cells of a mask. `centres`: those of an element, by its folder."""

    store: Path
    centres: Callable[[Path], pd.DataFrame]

    @cached_property
    def region(self) -> Path:
        """The folder of the element that the spots are.

        Raises:
            UnitBenchError: the table does not say which, or there are several, or it is not in the store.
        """
        key = self._keys["region_key"]
        names = [text(name) for name in self.column(key, "regions are not named").unique()]
        if len(names) > 1:
            cause = f"slide {self.name!r} has {len(names)} regions: {', '.join(names)}"
            raise UnitBenchError(self.path, cause, f"make each a slide: `slide: {{obs: {key}}}`")
        return find_element(self.store, REGIONS, names[0], f"obs[{key!r}]")

    @property
    def instances(self) -> pd.Index:
        """The id of each spot in its region, as text, `[n_spots]`."""
        return pd.Index(self.column(self._keys["instance_key"], "positions are missing").map(text))

    def obsm(self, key: str) -> pd.DataFrame:
        """The centre (x, y) of each spot, `[n_spots, 2]`, whatever the key.

        Raises:
            UnitBenchError: a spot is not in its region.
        """
        remedy = "leave these rows out of the table, or write the whole region"
        found = of_barcodes(self.centres(self.region), self.instances, self.region, self.path, remedy)
        return found.set_axis(self.obs.index)

    @cached_property
    def _keys(self) -> dict[str, Any]:
        """What the table annotates. Raises UnitBenchError: it does not say so."""
        if "spatialdata_attrs" not in self.file.keys("uns"):
            raise UnitBenchError(
                self.path, "it annotates no element: no uns['spatialdata_attrs']", "name another `table`"
            )
        return self.file.read("uns/spatialdata_attrs")
