"""Xenium: a matrix and a table of cells as the versions of the instrument write them, and real tissue."""

import gzip

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.datasets.xenium import Xenium
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data
from tests.helpers.tenx import CELL_COUNTS, FEATURES, Folder, cells, write_xenium


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path, Xenium)
    write_xenium(folder)
    return folder


def test_three_lines_describe_a_matrix_and_its_cells(folder):
    assert set(folder.about) == {"name", "folder", "donor"}
    (slide,) = folder.read()
    assert slide.obs_names.tolist() == cells()["cell_id"].tolist() and slide.var_names.tolist() == ["A", "B", "C"]
    assert slide.X.toarray().tolist() == CELL_COUNTS[:, :3].tolist()
    assert slide.obsm["lattice"].tolist() == [[0, i] for i in range(6)]
    np.testing.assert_allclose(np.diff(slide.obsm["position"], axis=0), [[0, 1]] * 5, atol=1e-5)  # 10 µm are a pitch
    assert "label" not in slide.obs and "image" not in slide.uns
    record = folder.dataset().record()
    assert (record["source"], record["licence"], record["title"]) == ("not stated", "not stated", "sample")


def test_controls_are_left_out_and_counted(folder):
    join = folder.read()[0].uns["join"]
    assert join["features_that_are_no_genes"] == 2 and join["counts_of_features_that_are_no_genes"] == 5


def test_cells_without_counts_are_counted(folder):
    write_xenium(folder, counts=CELL_COUNTS[:4], names=cells()["cell_id"][:4])
    (slide,) = folder.read()
    assert slide.n_obs == 4 and slide.uns["join"]["cells_without_a_row_of_counts"] == 2


@settings(max_examples=20)
@given(order=st.permutations(range(6)))
def test_cells_are_joined_by_name_in_any_order(order, tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("order"), Xenium)
    write_xenium(folder, table=cells().iloc[order])
    assert folder.read()[0].obsm["lattice"].tolist() == [[0, i] for i in range(6)]


@pytest.mark.parametrize("ids", [lambda i: i.str.encode("ascii"), lambda i: np.arange(1, 7), lambda i: i])
def test_cells_of_a_parquet_file_are_joined_by_bytes_numbers_or_text(folder, ids):
    """The first versions wrote the names of cells as bytes, or numbered the cells."""
    table = cells().assign(cell_id=lambda t: ids(t["cell_id"]))
    write_xenium(folder, names=[i.decode() if isinstance(i, bytes) else str(i) for i in table["cell_id"]])
    folder.at("cells.csv.gz").unlink()
    table.to_parquet(folder.at("cells.parquet"))
    assert folder.read()[0].obsm["lattice"].tolist() == [[0, i] for i in range(6)]


def test_cells_that_are_numbered_anew_in_one_file_are_refused(folder):
    """The names agree, and the cells do not."""
    moved = cells().assign(cell_id=np.roll(cells()["cell_id"], 1))
    write_xenium(folder, table=moved)
    with pytest.raises(UnitBenchError, match=r"cells.csv.gz: its cells are others than those of the matrix"):
        folder.read()


def test_the_matrix_may_be_a_folder(folder):
    counts = folder.read()[0].X.toarray()
    folder.at("cell_feature_matrix.h5").unlink()
    with gzip.open(folder.at("cell_feature_matrix/matrix.mtx.gz"), "wb") as file:
        scipy.io.mmwrite(file, sp.coo_matrix(CELL_COUNTS.T))
    pd.DataFrame(FEATURES).to_csv(folder.at("cell_feature_matrix/features.tsv.gz"), sep="\t", header=False, index=False)
    cells()["cell_id"].to_csv(folder.at("cell_feature_matrix/barcodes.tsv.gz"), header=False, index=False)
    (slide,) = folder.read()
    assert np.array_equal(slide.X.toarray(), counts) and slide.var_names.tolist() == ["A", "B", "C"]
    assert len(folder.dataset().record()["files"]) == 4


def test_images_of_any_version_do_not_matter(folder):
    for name in ("morphology.ome.tif", "morphology_focus/ch0000_dapi.ome.tif", "morphology_focus_0000.ome.tif"):
        folder.at(name).write_bytes(b"x")
    assert folder.read()[0].n_obs == 6


def test_labels_come_from_a_table(folder):
    labels = pd.DataFrame({"cell_id": cells()["cell_id"][:4], "group": ["a", "b", "NA", "x"]})
    labels.to_csv(folder.at("groups.csv"), index=False)
    table = {"path": "groups.csv", "barcode": "cell_id", "label": "group"}
    (slide,) = folder.read(label_table=table, labels="drawn", unlabelled=["x"])
    assert slide.obs["label"].tolist()[:2] == ["a", "b"] and slide.obs["label"].isna().sum() == 4
    assert slide.uns["join"]["spots_without_a_row_in_the_label_table"] == 2
    record = folder.dataset(label_table=table, labels="drawn").record()
    assert record["labels"] == "drawn" and list(record["tables"]) == ["groups.csv"]


@needs_data
def test_real_tissue_goes_in_with_five_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    lines = "name: brain\nfolder: xenium_mouse_brain\ndonor: mouse1\npitch: 15\ntitle: Mouse brain\n"
    (tmp_path / "brain.yaml").write_text(lines)
    (slide,) = Xenium(describe=tmp_path / "brain.yaml").slides()
    assert slide.shape == (36_602, 248) and slide.uns["join"]["features_that_are_no_genes"] == 541 - 248
    told = pd.read_csv(DATA / "xenium_mouse_brain/cells.csv.gz")
    assert np.array_equal(np.asarray(slide.X.sum(axis=1)).ravel(), told["transcript_counts"])
    assert (
        slide.uns["join"]["counts_of_features_that_are_no_genes"]
        == (told["total_counts"] - told["transcript_counts"]).sum()
    )
    yx = told[["y_centroid", "x_centroid"]].to_numpy()
    np.testing.assert_allclose(np.diff(slide.obsm["position"] * 15, axis=0), np.diff(yx, axis=0), atol=0.01)


@needs_data
def test_the_committed_description_knows_the_files(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    path = CONFIG / "datasets/xenium_mouse_brain.yaml"
    listed = yaml.safe_load(path.read_text())["files"]
    assert {file["path"]: file["sha256"] for file in Xenium(describe=path).record()["files"]} == listed
