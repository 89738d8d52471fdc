"""Folders that the readers of 10x Genomics' formats and of SpatialData refuse: how each fault comes about.

docs/readers.md has a table of what their lines say; `tests/datasets/test_bad_samples.py` holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pandas as pd

from benchmark.datasets.visium import Visium
from benchmark.datasets.visium_hd import VisiumHD
from benchmark.datasets.xenium import Xenium
from tests.helpers.spatialdata_stores import Stores, circles, picture, table
from tests.helpers.tenx import (
    CELL_COUNTS,
    IDS,
    ON_TISSUE,
    SPOT_COUNTS,
    Folder,
    cells,
    hexagons,
    write_bins,
    write_matrix,
    write_scale,
    write_visium,
    write_xenium,
)  # fmt: skip

H_AND_E = {"image": {"stain": "H&E"}}
HE = {"element": "he", "stain": "H&E", "kind": "colour"}
MAKE = {
    "xenium": lambda path: made(Folder(path, Xenium), write_xenium),
    "visium": lambda path: made(Folder(path, Visium), write_visium),
    "visium_hd": lambda path: made(Folder(path, VisiumHD), write_bins),
    "spatialdata": lambda path: made(Stores(path), Stores.write),
}


def made(folder, write):
    write(folder)
    return folder


def described(**changes):
    """A changed description; a key whose value is `...` is left out."""
    return lambda folder: changes


def lacking(name, **changes):
    """A folder without this file."""

    def harm(folder):
        folder.at(name).unlink()
        return changes

    return harm


def damaged(name, **changes):
    """The first half of this file."""

    def harm(folder):
        whole = folder.at(name).read_bytes()
        folder.at(name).write_bytes(whole[: len(whole) // 2])
        return changes

    return harm


def xenium(**changes):
    """Another table of cells; a column whose value is `...` is left out."""
    kept = {name: value for name, value in changes.items() if value is not ...}
    lost = [name for name, value in changes.items() if value is ...]
    return lambda folder: write_xenium(folder, table=cells(**kept).drop(columns=lost))


def visium(**changes):
    """Another table of positions."""

    def harm(folder):
        kept = hexagons().assign(**{name: value for name, value in changes.items() if value is not ...})
        lost = [name for name, value in changes.items() if value is ...]
        kept.drop(columns=lost).to_csv(folder.at("spatial/tissue_positions.csv"), index=False)

    return harm


def of_proteins(folder):
    write_matrix(folder.at("cell_feature_matrix.h5"), CELL_COUNTS[:, :3], cells()["cell_id"], types=["Protein"] * 3)


def of_another_kind(folder):
    with h5py.File(folder.at("cell_feature_matrix.h5"), "w") as file:
        file["obs"] = [1]


def two_samples(folder):
    folder.at("filtered_feature_bc_matrix.h5").rename(folder.at("a_filtered_feature_bc_matrix.h5"))
    write_matrix(folder.at("b_filtered_feature_bc_matrix.h5"), SPOT_COUNTS, ON_TISSUE)


def two_genes_of_an_id(folder):
    write_matrix(folder.at("filtered_feature_bc_matrix.h5"), SPOT_COUNTS, ON_TISSUE, ids=[IDS[0], IDS[0], IDS[2]])
    return {"genes": "ids"}


def with_scale(at="", changes=None, **factors):
    """Other scale factors."""

    def harm(folder):
        write_scale(folder.at(f"{at}spatial/scalefactors_json.json"), **factors)
        return changes

    return harm


def at_one_place(folder):
    visium(pxl_row_in_fullres=5.0, pxl_col_in_fullres=5.0)(folder)
    return H_AND_E


def unmatched_labels(folder):
    pd.DataFrame({"Barcode": ["x-1", "y-1"], "layer": ["a", "b"]}).to_csv(folder.at("labels.csv"), index=False)
    return {"label_table": {"path": "labels.csv", "barcode": "Barcode", "label": "layer"}}


def stored(changes=None, **parts):
    """Another store."""

    def harm(stores):
        stores.write(**{key: value() for key, value in parts.items()})
        return changes

    return harm


def without_its_record(stores):
    path = stores.path / "one.zarr/tables/table/uns/spatialdata_attrs"
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
    path.rename(path.with_name("other"))


def without_shapes(stores):
    (stores.path / "one.zarr/shapes/cells/shapes.parquet").unlink()


def no_store(stores):
    (stores.path / "one.zarr/tables").rename(stores.path / "one.zarr/points")


def halved():
    data = table()
    data.X = data.X / 2
    return data


def of_two_regions():
    return table(region=["cells"] * 3 + ["nuclei"] * 3)


def far_too_fine(folder):
    write_xenium(folder, table=cells(y_centroid=np.arange(6) * 10.0))
    return {"pitch": 0.001}


def without_bins(folder):
    folder.at(BINS).rename(folder.path / "other")


MATRIX = "cell_feature_matrix.h5"
POSITIONS = "tissue_positions.csv"
SCALE = "scalefactors_json.json"
BINS = "binned_outputs/square_008um/"
LISTED = {"files": {"cells.csv.gz": "0" * 64}}
# By the reader and the fault: the place that the line names, and what harms a good folder. It may return changes of its
# description.
HARMS: dict[str, dict[str, tuple[str, Callable[[Any], dict | None]]]] = {
    "xenium": {
        "a folder without a matrix": ("outs", lacking(MATRIX)),
        "a folder without a table of cells": ("outs", lacking("cells.csv.gz")),
        "a matrix that was cut off": (MATRIX, damaged(MATRIX)),
        "a file of another kind": (MATRIX, of_another_kind),
        "a matrix without genes": (MATRIX, of_proteins),
        "a table of cells that was cut off": ("cells.csv.gz", damaged("cells.csv.gz")),
        "a column that is not there": ("cells.csv.gz", xenium(x_centroid=...)),
        "a cell without a position": ("cells.csv.gz", xenium(x_centroid=[np.nan, 1, 2, 3, 4, 5])),
        "cells of another run": ("cells.csv.gz", xenium(cell_id=range(6))),
        "cells that one file numbers anew": ("cells.csv.gz", xenium(cell_id=np.roll(cells()["cell_id"], 1))),
        "a cell with two rows": (
            "cells.csv.gz",
            xenium(cell_id=cells()["cell_id"].replace("aaaaaaaa-1", "aaaaaaab-1")),
        ),
        "a pitch that is far off": ("cells.csv.gz", far_too_fine),
        "a file that is not the one described": ("cells.csv.gz", described(**LISTED)),
        "a listed file that is not there": ("other.h5", described(files={"other.h5": "0" * 64})),
        "a folder that is not there": ("sample.yaml", described(folder="/nowhere")),
        "keys that are missing": ("sample.yaml", described(folder=..., donor=...)),
        "a key that is not known": ("sample.yaml", described(pich=10)),
        "names of genes of another kind": ("sample.yaml", described(genes="names")),
        "a column of genes that is not there": (MATRIX, described(genes={"column": "symbol"})),
    },
    "visium": {
        "a subfolder that is not there": ("outs/S1", described(slides={"one": "S1"})),
        "a subfolder elsewhere": ("sample.yaml", described(slides={"one": "../S1"})),
        "a slide without a donor": ("sample.yaml", described(donor={})),
        "a donor of no slide": ("sample.yaml", described(donor={"sample": "D1", "smple": "D1"})),
        "two samples in one folder": ("outs", two_samples),
        "no table of positions": ("spatial", lacking("spatial/tissue_positions.csv")),
        "positions under other names": (POSITIONS, visium(array_row=...)),
        "barcodes without their suffix": (POSITIONS, visium(barcode=hexagons()["barcode"].str[:1])),
        "positions that are no indices of the array": (POSITIONS, visium(array_col=range(8))),
        "an image that is not there": ("spatial", lacking("spatial/tissue_hires_image.png", **H_AND_E)),
        "an image that was cut off": ("tissue_hires_image.png", damaged("spatial/tissue_hires_image.png", **H_AND_E)),
        "no scale factor of the image": (SCALE, with_scale(changes=H_AND_E, tissue_lowres_scalef=0.1)),
        "scale factors that were cut off": (SCALE, damaged("spatial/scalefactors_json.json", **H_AND_E)),
        "all pixels the same": ("filtered_feature_bc_matrix.h5", at_one_place),
        "two genes of one id": ("filtered_feature_bc_matrix.h5", two_genes_of_an_id),
        "labels of other spots": ("labels.csv", unmatched_labels),
    },
    "visium_hd": {
        "bins of a size that is not there": ("binned_outputs", described(bin_size=2)),
        "a folder without bins": ("binned_outputs", without_bins),
        "bins of another size in the folder": (
            SCALE,
            with_scale(BINS, bin_size_um=16),
        ),
    },
    "spatialdata": {
        "a store without a table": ("one.zarr", no_store),
        "several tables to choose from": ("one.zarr", stored(tables=lambda: {"bins": table(), "table": table()})),
        "a table that is not there": ("one.zarr", described(table="tabel")),
        "a table that annotates nothing": ("table", without_its_record),
        "a region that is not there": ("one.zarr", stored(shapes=lambda: {"nuclei": circles()})),
        "several regions in a slide": (
            "table",
            stored(
                tables=lambda: {"table": of_two_regions()},
                shapes=lambda: {"cells": circles(), "nuclei": circles()},
            ),
        ),
        "a spot that is not in its region": ("cells", stored(shapes=lambda: {"cells": circles(4)})),
        "shapes that are damaged": ("cells", without_shapes),
        "a coordinate system that is not there": ("cells", described(coordinate_system="globl")),
        "an image that is not in the store": ("one.zarr", described(image=HE)),
        "a level that is not there": ("he", stored({"image": HE | {"level": 2}}, images=lambda: {"he": picture()})),
        "a channel that is not there": (
            "he",
            stored({"image": HE | {"channel": "dapi"}}, images=lambda: {"he": picture()}),
        ),
        "normalised values": ("table", stored(tables=lambda: {"table": halved()})),
    },
}
