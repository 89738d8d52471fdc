"""CosMx: counts, positions and tiles of a folder drawn by hand and of real tissue; one-line errors for bad folders."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmark.core.errors import UnitBenchError
from benchmark.data.tiles import View, cut
from benchmark.datasets.cosmx import TIEPOINT, Cosmx
from tests.helpers.cell_folders import Folder
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA, needs_data

DESCRIPTIONS = CONFIG / "datasets"
H, W = 40, 60
CELLS = {3: (4, 6), 7: (20, 30), 9: (34, 52)}  # (row, column) of the middle pixel of 5 × 5


def square(cell):
    row, column = CELLS[cell]
    return slice(row - 2, row + 3), slice(column - 2, column + 3)


def picture():
    """Each cell's square in blue, its middle pixel red as well."""
    pixels = np.zeros((H, W, 3), np.uint8)
    for cell, middle in CELLS.items():
        pixels[(*square(cell), 2)] = 200
        pixels[(*middle, 0)] = 250
    return pixels


def mask():
    pixels = np.zeros((H, W), np.int32)
    for cell in CELLS:
        pixels[square(cell)] = cell
    return pixels


def transcripts(top=H):
    """In cell 3: A twice, B, a negative probe; in 7: B; in 9: only a probe; and one A in no cell. y: up from `top`."""
    rows = [
        (3, "A", 0, 0),
        (3, "A", 1, -2),
        (3, "B", -1, 2),
        (3, "NegPrb1", 0, 1),
        (7, "B", 2, 2),
        (9, "NegPrb2", 0, 0),
    ]
    table = pd.DataFrame(
        [(1, c, CELLS[c][1] + across, top - CELLS[c][0] - down, gene, "x") for c, gene, down, across in rows],
        columns=["fov", "cell_ID", "x_local_px", "y_local_px", "target", "CellComp"],
    )
    return pd.concat([table, table.head(1).assign(cell_ID=0, x_local_px=50.0)])


@pytest.fixture
def cosmx(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(tmp_path))
    about = {
        "name": "three",
        "transcripts": "tx_file.csv",
        "y_axis": "up",
        "images": {"composite": {"stain": "all"}, "DAPI": {"stain": "DAPI", "band": "blue"}},
    }
    folder = Folder(tmp_path, Cosmx, about)
    folder.write("tx_file.csv", lambda path: transcripts().to_csv(path, index=False))
    folder.write("CellLabels/CellLabels_F001.tif", Image.fromarray(mask()).save)
    folder.write("CellComposite/CellComposite_F001.png", Image.fromarray(picture()).save)
    return folder


def test_a_cosmx_folder_becomes_the_slide_that_was_drawn(cosmx):
    (slide,) = cosmx.read()
    assert slide.obs_names.tolist() == ["1_3", "1_7", "1_9"] and slide.var_names.tolist() == ["A", "B"]
    assert slide.X.toarray().tolist() == [[2, 1], [0, 1], [0, 0]]
    assert slide.obsm["pixel"].tolist() == [[6.5, 4.5], [30.5, 20.5], [52.5, 34.5]]
    # 10 µm a lattice cell, 0.5 µm a pixel: (y, x) / 20, counted from the first occupied lattice cell.
    np.testing.assert_allclose(slide.obsm["position"], [[0.225, 0.325], [1.025, 1.525], [1.725, 2.625]])
    assert slide.obsm["lattice"].tolist() == [[0, 0], [1, 1], [1, 2]]
    assert slide.uns["join"] == {"transcripts_outside_cells": 1, "transcripts_of_control_probes": 2}
    assert (slide.uns["image"]["stain"], slide.uns["image"]["microns_per_pixel"]) == ("all", 0.5)


def test_a_tile_is_the_square_around_its_cell(cosmx):
    (slide,), (dapi,) = cosmx.read(), cosmx.read(stain="DAPI")
    assert dapi.uns["image"]["stain"] == "DAPI"
    # 2.5 µm are the cell's 5 pixels.
    for tile, middle, cell in zip(cut(slide, View(2.5, 5)), CELLS.values(), CELLS, strict=True):
        np.testing.assert_array_equal(tile, picture()[square(cell)])
        assert tile[2, 2].tolist() == picture()[middle].tolist() == [250, 0, 200]
    assert (cut(dapi, View(2.5, 5)) == 200).all()


def test_a_mask_of_a_part_of_its_field_is_placed_by_its_tiepoint(cosmx):
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[TIEPOINT] = (0.0, 0.0, 0.0, 100.0, 300.0, 0.0)
    tags.tagtype[TIEPOINT] = 12
    moved = transcripts(top=300).assign(x_local_px=lambda table: table["x_local_px"] + 100)
    cosmx.write("tx_file.csv", lambda path: moved.to_csv(path, index=False))
    with pytest.raises(UnitBenchError, match="0% of the transcripts lie in the mask of their cell"):
        cosmx.read()
    cosmx.write("CellLabels/CellLabels_F001.tif", lambda path: Image.fromarray(mask()).save(path, tiffinfo=tags))
    (slide,) = cosmx.read()
    assert slide.obsm["pixel"].tolist() == [[6.5, 4.5], [30.5, 20.5], [52.5, 34.5]]


def test_a_y_axis_upside_down_is_refused_with_its_remedy(cosmx):
    with pytest.raises(UnitBenchError, match=r" 0% of the .* y_axis down; set `y_axis: up`, where 100% do"):
        cosmx.read(y_axis="down")
    down = transcripts().assign(y_local_px=lambda table: H - table["y_local_px"])
    cosmx.write("tx_file.csv", lambda path: down.to_csv(path, index=False))
    with pytest.raises(UnitBenchError, match="y_axis up; set `y_axis: down`"):
        cosmx.read()
    assert cosmx.read(y_axis="down")[0].X.toarray().tolist() == [[2, 1], [0, 1], [0, 0]]


def test_the_slide_is_a_spatialdata_table_in_memory_and_on_disk(cosmx, tmp_path):
    (slide,) = cosmx.read()
    slide.write_h5ad(tmp_path / "one.h5ad")
    again = ad.read_h5ad(tmp_path / "one.h5ad")
    attrs = again.uns["spatialdata_attrs"]
    assert attrs == {"region": "1", "region_key": "fov", "instance_key": "cell_ID"}
    assert again.obs[attrs["region_key"]].cat.categories.tolist() == [attrs["region"]]
    assert again.obs[attrs["instance_key"]].tolist() == list(CELLS)
    assert again.obsm["spatial"].shape == (3, 2)


def test_the_record_names_every_file_and_the_donor(cosmx):
    record = cosmx.dataset().record()
    assert record["donors"] == record["groups"] == {"F001": "D1"}
    assert {file["path"] for file in record["files"]} == {
        "tx_file.csv", "CellLabels/CellLabels_F001.tif", "CellComposite/CellComposite_F001.png"
    }  # fmt: skip


# Bad folders


def stray(cell):
    """The mask with one more cell."""
    pixels = mask()
    pixels[:2, :2] = cell
    return Image.fromarray(pixels)


def test_a_mask_of_unknown_cells_is_an_error_of_one_line(cosmx):
    cosmx.write("CellLabels/CellLabels_F001.tif", stray(11).save)
    with pytest.raises(UnitBenchError, match=r"F001.tif: 1 cell\(s\) that tx_file.csv does not name, such as 11; give"):
        cosmx.read()
    pixels = mask()
    pixels[pixels == 7] = 0
    cosmx.write("CellLabels/CellLabels_F001.tif", Image.fromarray(pixels).save)
    with pytest.raises(UnitBenchError, match=r"F001.tif: 1 cell\(s\) fewer than its transcripts name, such as 7; give"):
        cosmx.read()


def test_a_folder_without_masks_is_an_error_of_one_line(cosmx):
    (cosmx.path / "CellLabels/CellLabels_F001.tif").unlink()
    for use in (cosmx.read, lambda: cosmx.dataset().record()):
        with pytest.raises(UnitBenchError, match=r"set.yaml: no cell masks: no CellLabels/…_F<number>.tif; add them"):
            use()


def test_a_file_that_is_not_a_mask_is_an_error_of_one_line(cosmx):
    cosmx.write("CellLabels/CellLabels_F001.tif", Image.fromarray(mask() + np.float32(0.5)).save)
    with pytest.raises(UnitBenchError, match="no cell mask"):
        cosmx.read()
    cosmx.write("CellLabels/CellLabels_F001.tif", lambda path: path.write_bytes(b"no image"))
    with pytest.raises(UnitBenchError, match=r"F001.tif: cannot be read"):
        cosmx.read()


def test_a_missing_image_is_an_error_unless_declared_absent(cosmx):
    (cosmx.path / "CellComposite/CellComposite_F001.png").unlink()
    with pytest.raises(UnitBenchError, match="no image of field 1; add it to `files`, or declare"):
        cosmx.read()
    (slide,) = cosmx.read(images={})
    assert "image" not in slide.uns and "pixel" not in slide.obsm
    with pytest.raises(UnitBenchError, match="there is none"):
        cut(slide, View(2.5, 5))


def test_a_corrupt_image_is_an_error_of_one_line(cosmx):
    path = cosmx.path / "CellComposite/CellComposite_F001.png"
    path.write_bytes(path.read_bytes()[:100])
    (slide,) = cosmx.read()
    with pytest.raises(UnitBenchError, match=r"image of slide F001 \(.*F001.png\): cannot be read"):
        cut(slide, View(2.5, 5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_axes": "up"}, "unknown key 'y_axes'; did you mean 'y_axis'?"),
        ({"stain": "dapi"}, "no image 'dapi'; known: DAPI, composite"),
        ({"transcripts": "tx.csv"}, "no sha256 of 'tx.csv' in `files`"),
        ({"files": {"tx_file.csv": "0" * 64, "CellLabels/a_F001.tif": "0" * 64}}, "tx_file.csv: altered"),
        ({"files": {}}, "no sha256 of 'tx_file.csv'"),
    ],
)
def test_a_description_that_does_not_fit_is_an_error_of_one_line(cosmx, changes, message):
    with pytest.raises(UnitBenchError) as caught:
        cosmx.read(**changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_without_its_columns_is_an_error_of_one_line(cosmx):
    cosmx.write("tx_file.csv", lambda path: path.write_text("a,b\n1,2\n"))
    with pytest.raises(UnitBenchError, match=r"tx_file.csv: cannot be read \(.*do not match") as caught:
        cosmx.read()
    assert "\n" not in str(caught.value)


# Real cells


@pytest.fixture(scope="module")
def fields():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITBENCH_DATA", str(DATA))
        yield list(Cosmx(describe=DESCRIPTIONS / "cosmx_lung12_mini.yaml").slides())


@needs_data
def test_cosmx_has_120_cells_960_genes_and_20_negative_probes(fields):
    assert [slide.shape for slide in fields] == [(67, 960), (53, 960)]
    table = pd.read_csv(DATA / "cosmx_vizgen_mini/inst/Mini_datasets/CosMx/Raw/Lung12_tx_file.csv")
    assert table["target"].nunique() == 980
    gene = table[(table["cell_ID"] > 0) & ~table["target"].str.startswith("NegPrb")]
    for fov, slide in zip((2, 3), fields, strict=True):
        in_field = gene[gene["fov"] == fov]
        assert slide.X.sum() == len(in_field)
        wide = in_field.groupby(["cell_ID", "target"]).size().unstack(fill_value=0)
        wide = wide.reindex(index=slide.obs["cell_ID"], columns=slide.var_names, fill_value=0)
        np.testing.assert_array_equal(slide.X.toarray(), wide)


@needs_data
def test_by_the_scale_of_cosmx_the_stage_stops_at_whole_microns():
    folder = DATA / "cosmx_vizgen_mini/inst/Mini_datasets/CosMx/Raw"
    stops = pd.read_csv(folder / "Lung12_fov_positions_file.csv")[["x_global_px", "y_global_px"]].to_numpy()
    off = [abs(stops * scale - np.rint(stops * scale)).max() for scale in (0.18, 0.12028)]
    assert off[0] < 1e-6 and off[1] > 0.2


@needs_data
def test_transcripts_of_cosmx_lie_in_the_masks_of_their_cells_and_not_upside_down(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    about = yaml.safe_load((DESCRIPTIONS / "cosmx_lung12_mini.yaml").read_text()) | {"y_axis": "down"}
    (tmp_path / "down.yaml").write_text(yaml.safe_dump(about))
    with pytest.raises(UnitBenchError, match=r"F002.tif: 7% of the .* set `y_axis: up`, where 100% do"):
        list(Cosmx(describe=tmp_path / "down.yaml").slides())


@needs_data
def test_tiles_of_cosmx_show_a_nucleus_in_their_middle(fields, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    for slide in fields:
        tiles = cut(slide, View(20, 32))
        assert tiles.shape == (slide.n_obs, 32, 32, 3)
        assert tiles.reshape(slide.n_obs, -1).std(axis=1).min() > 3  # none is blank
        blue = tiles[..., 2].astype(float)
        assert blue[:, 12:20, 12:20].mean() > 1.5 * blue[:, [0, 31]].mean()
