"""Visium: folders in the layouts of Space Ranger's versions, and one made of real tissue."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data.image import rgb
from benchmark.datasets.h5ad_folder import H5adFolder
from benchmark.datasets.visium import Visium
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data
from tests.helpers.tenx import (
    COLUMNS,
    IDS,
    ON_TISSUE,
    SPOT_COUNTS,
    Folder,
    hexagons,
    write_matrix,
    write_scale,
    write_visium,
)


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path, Visium)
    write_visium(folder)
    return folder


def test_a_slide_as_worked_by_hand(folder):
    (slide,) = folder.read(image={"stain": "H&E"})
    assert slide.obs_names.tolist() == ON_TISSUE and slide.var_names.tolist() == ["A", "B", "C"]
    assert slide.X.toarray().tolist() == SPOT_COUNTS.tolist()
    assert slide.obsm["lattice"].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [1, 1], [1, 2]]
    assert slide.obsm["position"][4].tolist() == pytest.approx([np.sqrt(3) / 2, 0.5])
    assert slide.obsm["pixel"][1].tolist() == [20, 20]  # (x, y): the column of the picture comes first
    image = slide.uns["image"]
    assert image["pixels"].shape == (40, 60, 3) and image["scale"] == 0.5
    assert image["microns_per_pixel"] == pytest.approx(20)  # 100 µm are 10 pixels, 5 of the file


@pytest.mark.parametrize("name", ["tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.parquet"])
@pytest.mark.parametrize("header", [True, False])
def test_positions_are_read_with_and_without_a_header(folder, name, header):
    expected = folder.read()[0].obsm["lattice"]
    folder.at("spatial/tissue_positions.csv").unlink()
    if name.endswith(".csv"):
        hexagons().to_csv(folder.at(f"spatial/{name}"), index=False, header=header)
    else:
        table = hexagons() if header else hexagons().set_index("barcode")
        table.to_parquet(folder.at(f"spatial/{name}"))
    (slide,) = folder.read()
    assert slide.n_obs == 7 and np.array_equal(slide.obsm["lattice"], expected)  # not one spot fewer
    assert slide.obsm["position"].dtype == np.float32


@settings(max_examples=20)
@given(order=st.permutations(range(8)))
def test_the_order_of_the_positions_does_not_matter(order, tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("order"), Visium)
    write_visium(folder)
    hexagons().iloc[order].to_csv(folder.at("spatial/tissue_positions.csv"), index=False)
    (slide,) = folder.read()
    assert slide.obsm["lattice"].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [1, 1], [1, 2]]


def test_spots_off_the_tissue_and_spots_without_counts_are_counted(folder):
    table = hexagons()
    table["in_tissue"] = 1
    table.loc[2, "in_tissue"] = 0
    table.to_csv(folder.at("spatial/tissue_positions.csv"), index=False)
    (slide,) = folder.read()
    assert slide.obs_names.tolist() == ON_TISSUE[:2] + ON_TISSUE[3:]
    assert slide.uns["join"]["spots_off_the_tissue_left_out"] == 1
    assert slide.uns["join"]["spots_on_the_tissue_without_counts"] == 1  # the eighth


def test_the_matrix_may_be_named_after_its_sample_and_a_hidden_file_is_none(folder):
    folder.at("filtered_feature_bc_matrix.h5").rename(folder.at("S1_filtered_feature_bc_matrix.h5"))
    folder.at("._S1_filtered_feature_bc_matrix.h5").write_bytes(b"x")
    assert folder.read()[0].n_obs == 7


def test_several_samples_are_several_slides(tmp_path):
    folder = Folder(tmp_path, Visium, name="two", slides={"a": "one/outs", 2: "two/outs"}, donor={"a": "D1", 2: "D2"})
    write_visium(folder, "one/outs/")
    write_visium(folder, "two/outs/", "S2_")
    slides, record = folder.read(), folder.dataset().record()
    assert [(s.uns["slide"], s.uns["donor"]) for s in slides] == [("a", "D1"), ("2", "D2")]
    assert record["donors"] == record["groups"] == {"a": "D1", "2": "D2"}
    assert [file["path"] for file in record["files"]] == [
        "one/outs/filtered_feature_bc_matrix.h5",
        "one/outs/spatial/tissue_positions.csv",
        "two/outs/S2_filtered_feature_bc_matrix.h5",
        "two/outs/spatial/tissue_positions.csv",
    ]
    assert folder.dataset(group="pair").record()["groups"] == {"a": "pair", "2": "pair"}


def test_genes_are_named_by_symbol_or_id(folder):
    write_matrix(folder.at("filtered_feature_bc_matrix.h5"), SPOT_COUNTS, ON_TISSUE, symbols=["A", "B", "A"])
    (slide,) = folder.read()
    assert slide.var_names.tolist() == ["A", "B"]
    assert (
        slide.X.toarray().tolist()
        == np.stack([SPOT_COUNTS[:, 0] + SPOT_COUNTS[:, 2], SPOT_COUNTS[:, 1]], axis=1).tolist()
    )
    assert slide.uns["join"]["genes_added_to_one_of_the_same_name"] == 1
    assert folder.read(genes="ids")[0].var_names.tolist() == IDS


@needs_data
def test_a_folder_made_of_real_tissue_gives_the_slide_of_its_file(tmp_path, monkeypatch):
    """151673: as scanpy keeps it in a file, and as Space Ranger would write it."""
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    folder = Folder(tmp_path, Visium, name="151673", donor="Br8100")
    data = ad.read_h5ad(DATA / "dlpfc/151673.h5ad")
    write_matrix(folder.at("filtered_feature_bc_matrix.h5"), data.X, data.obs_names, data.var_names, data.var_names)
    pixel = data.obsm["spatial"]
    table = data.obs[["array_row", "array_col"]].assign(barcode=data.obs_names, in_tissue=1)
    table = table.assign(pxl_row_in_fullres=pixel[:, 1], pxl_col_in_fullres=pixel[:, 0])[COLUMNS]
    table.to_csv(folder.at("spatial/tissue_positions_list.csv"), index=False, header=False)
    (library,) = data.uns["spatial"].values()
    Image.fromarray(rgb(library["images"]["lowres"], "")).save(folder.at("spatial/tissue_lowres_image.png"))
    scale = float(library["scalefactors"]["tissue_lowres_scalef"])
    write_scale(folder.at("spatial/scalefactors_json.json"), tissue_lowres_scalef=scale)
    (made,) = folder.read(image={"stain": "H&E", "resolution": "lowres"})
    real = next(H5adFolder(describe=CONFIG / "datasets/dlpfc.yaml").slides())
    assert real.uns["slide"] == "151673" and made.obs_names.equals(real.obs_names)
    assert (made.X != real.X).nnz == 0 and made.var_names.equals(real.var_names)
    steps = [slide.obsm["position"] - slide.obsm["position"][0] for slide in (made, real)]
    np.testing.assert_allclose(*steps, atol=1e-4)
    assert np.array_equal(made.uns["image"]["pixels"], real.uns["image"]["pixels"])
    assert np.array_equal(made.obsm["pixel"], real.obsm["pixel"])
    assert made.uns["image"]["microns_per_pixel"] == pytest.approx(real.uns["image"]["microns_per_pixel"], rel=0.01)
