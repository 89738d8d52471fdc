"""Folders as 10x Genomics' programs write them, small, and a description of them, for the tests of the readers."""

import json

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml
from PIL import Image

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
IDS = ["ENSG01", "ENSG02", "ENSG03"]
SYMBOLS = ["A", "B", "C"]


class Folder:
    """A folder of files and its description. `read(**changes)` reads it with a changed description."""

    def __init__(self, path, kind, **about):
        self.path, self.describe, self.kind = path / "outs", path / "sample.yaml", kind
        self.about = {"name": "sample", "folder": str(self.path), "donor": "D1"} | about
        self.path.mkdir()

    def at(self, name):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        return self.path / name

    def dataset(self, **changes):
        values = self.about | changes
        self.describe.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not ...}))
        return self.kind(describe=self.describe)

    def read(self, **changes):
        return list(self.dataset(**changes).slides())


def write_matrix(path, counts, barcodes, ids=IDS, symbols=SYMBOLS, types=None):
    """An HDF5 file of 10x, format 3: features × barcodes by columns, which is `counts` `[n_barcodes, n_features]`."""
    counts = sp.csr_matrix(counts).astype(np.int32)
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            matrix[name] = getattr(counts, name)
        matrix["shape"] = np.array(counts.shape[::-1], dtype=np.int32)
        matrix["barcodes"] = np.array(barcodes, dtype="S")
        features = matrix.create_group("features")
        for name, values in {
            "id": ids,
            "name": symbols,
            "feature_type": types or ["Gene Expression"] * len(ids),
            "genome": ["none"] * len(ids),
        }.items():
            features[name] = np.array(values, dtype="S")
        features["_all_tag_keys"] = np.array(["genome"], dtype="S")


def write_scale(path, **factors):
    path.write_text(json.dumps(factors))


def write_picture(path, width=60, height=40):
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    Image.fromarray(ramp.astype(np.uint8)).save(path)


def hexagons(n_rows=2, n_columns=4):
    """The table of positions of a Visium array whose last spot is off the tissue; spots are 10 pixels apart."""
    row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
    column = 2 * column + row % 2
    table = {
        "barcode": [f"{name}-1" for name in "ACGTKLMN"[: len(row)]],
        "in_tissue": [1] * (len(row) - 1) + [0],
        "array_row": row,
        "array_col": column,
        "pxl_row_in_fullres": 20 + row * 5 * np.sqrt(3),
        "pxl_col_in_fullres": 10 + column * 5.0,
    }
    return pd.DataFrame(table)
