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
FEATURES = [
    ("ENSG01", "A", "Gene Expression"),
    ("ENSG02", "B", "Gene Expression"),
    ("ENSG03", "C", "Gene Expression"),
    ("NegControlProbe_1", "NegControlProbe_1", "Negative Control Probe"),
    ("UnassignedCodeword_7", "UnassignedCodeword_7", "Unassigned Codeword"),
]
SPOT_COUNTS = np.arange(21).reshape(7, 3)
ON_TISSUE = [f"{name}-1" for name in "ACGTKLM"]
CELL_COUNTS = np.array(
    [[1, 2, 0, 1, 0], [9, 0, 3, 0, 0], [0, 0, 1, 0, 4], [5, 5, 5, 0, 0], [2, 0, 0, 0, 0], [0, 7, 1, 0, 0]]
)


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


def write_visium(folder, sample="", prefix=""):
    """An `outs` of seven spots on the tissue, whose counts are 0 to 20."""
    write_matrix(folder.at(f"{sample}{prefix}filtered_feature_bc_matrix.h5"), SPOT_COUNTS, ON_TISSUE)
    hexagons().to_csv(folder.at(f"{sample}spatial/tissue_positions.csv"), index=False)
    write_picture(folder.at(f"{sample}spatial/tissue_hires_image.png"))
    write_scale(folder.at(f"{sample}spatial/scalefactors_json.json"), tissue_hires_scalef=0.5, spot_diameter_fullres=5)


def bins(size=8):
    """The table of positions of 3 × 4 bins, whose array begins at (5, 7); the bins are 4 pixels wide."""
    row, column = np.divmod(np.arange(12), 4)
    table = {
        "barcode": [f"s_{size:03d}um_{r + 5:05d}_{c + 7:05d}-1" for r, c in zip(row, column, strict=True)],
        "in_tissue": [1] * 11 + [0],
        "array_row": row + 5,
        "array_col": column + 7,
        "pxl_row_in_fullres": 20 + row * 4.0,
        "pxl_col_in_fullres": 10 + column * 4.0,
    }
    return pd.DataFrame(table)


def write_bins(folder, size=8, inside="binned_outputs/"):
    """Bins of one size as Space Ranger writes them, eleven of them on the tissue, whose counts are 0 to 32."""
    at = f"{inside}square_{size:03d}um/"
    table = bins(size)
    write_matrix(folder.at(f"{at}filtered_feature_bc_matrix.h5"), np.arange(33).reshape(11, 3), table["barcode"][:11])
    table.to_parquet(folder.at(f"{at}spatial/tissue_positions.parquet"))
    write_picture(folder.at(f"{at}spatial/tissue_hires_image.png"))
    write_scale(folder.at(f"{at}spatial/scalefactors_json.json"), tissue_hires_scalef=0.5, bin_size_um=float(size))


def cells(n=6, **columns):
    """The table of cells 10 µm apart, and in it the counts of `CELL_COUNTS`."""
    table = {
        "cell_id": [f"aaaaaaa{letter}-1" for letter in "abcdefghij"[:n]],
        "x_centroid": np.arange(n) * 10.0 + 3,
        "y_centroid": np.full(n, 7.0),
        "transcript_counts": CELL_COUNTS[:n, :3].sum(axis=1),
        "cell_area": np.full(n, 50.0),
    }
    return pd.DataFrame(table | columns)


def write_xenium(folder, table=None, counts=None, names=None):
    """A matrix of three genes and two controls, and the table of its cells."""
    table = cells() if table is None else table
    table.to_csv(folder.at("cells.csv.gz"), index=False)
    counts = CELL_COUNTS if counts is None else counts
    ids, symbols, types = zip(*FEATURES, strict=True)
    names = cells()["cell_id"] if names is None else names
    write_matrix(folder.at("cell_feature_matrix.h5"), counts, names, ids, symbols, types)


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
