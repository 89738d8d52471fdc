"""MERSCOPE: single cells from transcripts in µm and the polygons of each plane of focus; a slide for each section."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.data.slide import check_slide
from benchmark.datasets.cell_folder import CellDescription, CellFolder
from benchmark.datasets.cells import cell_slide, count, is_control, polygon_centre, within

if TYPE_CHECKING:
    import anndata as ad

TRANSCRIPTS = {"global_x": np.float64, "global_y": np.float64, "global_z": np.int32, "gene": "category"}
CORNERS = {"x": np.float64, "y": np.float64, "poly_ID": str}


class MerscopeDescription(CellDescription):
    """The keys of every reader, and:

    polygons: the file of corners of each plane of focus, by the plane's global_z.
    y_axis: of the corners: "down", as for transcripts and image, or "up", with negative y.
    corner: (x, y) of the image's first corner, in µm.
    size: (width, height) of the image, in pixels.
    """

    polygons: dict[int, str]
    y_axis: Literal["up", "down"]
    corner: tuple[float, float]
    size: tuple[int, int]


class Merscope(CellFolder):
    """A MERSCOPE section, described by a short YAML file such as config/datasets/merscope_brain_mini.yaml."""

    kind: ClassVar = MerscopeDescription

    def slides(self) -> Iterator[ad.AnnData]:
        """The section. Cells whose centre is outside the image are left out, and counted in `uns["join"]`.

        Raises:
            UnitBenchError: a file is missing or damaged, a plane has no polygons, or the polygons do not lie on the
                transcripts.
        """
        about = self.about
        transcripts = self.table(about.transcripts, TRANSCRIPTS)
        where = self.locate(about.transcripts)
        if planes := set(transcripts["global_z"].unique()) - set(about.polygons):
            raise UnitBenchError(where, f"plane {min(planes)} has no polygons", "add them to `polygons`")
        corners = {z: read_corners(self, path) for z, path in about.polygons.items()}
        cells = sorted(set().union(*corners.values()))
        centres = np.array([np.mean([polygon_centre(c[i]) for c in corners.values() if i in c], axis=0) for i in cells])
        pixel = (centres - about.corner) / about.microns_per_pixel
        kept = ((pixel >= 0) & (pixel < about.size)).all(axis=1)
        cell = self._cell(transcripts, corners, where)
        targets = transcripts["gene"].cat.categories
        genes = targets[~is_control(targets)]
        shown = np.array(cells)[kept]
        slide = cell_slide(
            count(cell, transcripts["gene"], shown, genes),
            genes,
            shown,
            pixel[kept],
            name=about.name,
            donor=about.donor,
            region=about.name,
            image=self.image(),
            microns_per_pixel=about.microns_per_pixel,
            pitch=about.pitch,
        )
        slide.uns["join"] = {
            "cells_beyond_the_image": int((~kept).sum()),
            "transcripts_outside_cells": int((cell == "").sum()),
            "transcripts_of_control_probes": int(((cell != "") & ~transcripts["gene"].isin(genes)).sum()),
        }
        yield check_slide(slide, where)

    def names(self) -> list[str]:
        return [self.about.name]

    def _cell(self, transcripts: pd.DataFrame, corners: dict[int, dict[str, np.ndarray]], where: Path) -> np.ndarray:
        """The cell of each transcript, `[n]`; "" if it lies in none.

        Transcripts gather in cells. So if the polygons were upside down, fewer transcripts would lie in them.
        """
        point = transcripts[["global_x", "global_y"]].to_numpy()
        mirror = 2 * self.about.corner[1] + self.about.size[1] * self.about.microns_per_pixel
        cell, mirrored = np.full(len(point), "", dtype=object), 0
        for z, polygons in corners.items():
            (here,) = np.nonzero(transcripts["global_z"] == z)
            index = within(point[here], list(polygons.values()))
            cell[here] = np.array([*polygons, ""], dtype=object)[index]  # -1, in none, takes the last
            mirrored += (within(np.abs(point[here] - [0, mirror]), list(polygons.values())) >= 0).sum()
        inside = (cell != "").sum()
        if inside <= mirrored or not inside:
            raise UnitBenchError(
                where,
                f"{inside} of {len(cell)} transcripts lie in a cell, and {mirrored} where the cells are upside down",
                "correct `y_axis`, or give polygons and transcripts of one section",
            )
        return cell


def read_corners(folder: Merscope, path: str) -> dict[str, np.ndarray]:
    """Corners (x, y) of each cell of a plane, in µm with y down, `[k, 2]`."""
    table = folder.table(path, CORNERS)
    if folder.about.y_axis == "up":
        table["y"] = -table["y"]
    return {str(name): rows[["x", "y"]].to_numpy() for name, rows in table.groupby("poly_ID", sort=False)}
