"""Cells with images: counts, places and tiles of folders drawn by hand and of real tissue; one line for bad ones."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmark.datasets.cells import count, is_control, mask_centres, polygon_centre, share_inside, within
from benchmark.datasets.cosmx import TIEPOINT, Cosmx
from benchmark.datasets.merscope import Merscope
from benchmark.errors import UnitBenchError
from benchmark.files import sha256
from benchmark.images import View, cut
from tests.real import DATA, needs_data

CONFIG = Path(__file__).resolve().parents[1] / "config" / "datasets"
H, W = 40, 60
CELLS = {3: (4, 6), 7: (20, 30), 9: (34, 52)}  # (row, column) of the middle pixel of 5 × 5
SHARED = {
    "title": "Three cells",
    "folder": "set",
    "url": "https://example.org/set",
    "source": "made here",
    "licence": "none",
    "technology": "drawn",
    "donor": "D1",
    "microns_per_pixel": 0.5,
    "pitch": 10,
}


def square(cell):
    row, column = CELLS[cell]
    return slice(row - 2, row + 3), slice(column - 2, column + 3)


class Folder:
    """A folder of files and its description; `read(**changes)` reads it anew, checksums too."""

    def __init__(self, path, kind, about):
        self.path, self.kind, self.about = path / "set", kind, SHARED | about
        self.describe = path / "set.yaml"

    def write(self, name, save):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        save(self.path / name)

    def dataset(self, stain=None, **changes):
        files = {p.relative_to(self.path).as_posix(): sha256(p) for p in self.path.rglob("*.*")}
        self.describe.write_text(yaml.safe_dump(self.about | {"files": files} | changes, sort_keys=False))
        return self.kind(describe=self.describe, stain=stain)

    def read(self, **changes):
        return list(self.dataset(**changes).slides())


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


def test_a_mask_cut_out_of_its_field_says_where_it_was(cosmx):
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


def test_a_y_axis_upside_down_is_told_with_its_remedy(cosmx):
    with pytest.raises(UnitBenchError, match=r" 0% of the .* y_axis down; set `y_axis: up`, where 100% do"):
        cosmx.read(y_axis="down")
    down = transcripts().assign(y_local_px=lambda table: H - table["y_local_px"])
    cosmx.write("tx_file.csv", lambda path: down.to_csv(path, index=False))
    with pytest.raises(UnitBenchError, match="y_axis up; set `y_axis: down`"):
        cosmx.read()
    assert cosmx.read(y_axis="down")[0].X.toarray().tolist() == [[2, 1], [0, 1], [0, 0]]


def test_the_slide_is_a_spatialdata_table_and_stays_one_on_disk(cosmx, tmp_path):
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


def test_a_mask_of_unknown_cells_is_one_line(cosmx):
    cosmx.write("CellLabels/CellLabels_F001.tif", stray(11).save)
    with pytest.raises(UnitBenchError, match=r"F001.tif: 1 cell\(s\) that tx_file.csv does not name, such as 11; give"):
        cosmx.read()
    pixels = mask()
    pixels[pixels == 7] = 0
    cosmx.write("CellLabels/CellLabels_F001.tif", Image.fromarray(pixels).save)
    with pytest.raises(UnitBenchError, match=r"F001.tif: 1 cell\(s\) less than its transcripts name, such as 7; give"):
        cosmx.read()


def test_a_folder_without_masks_is_one_line(cosmx):
    (cosmx.path / "CellLabels/CellLabels_F001.tif").unlink()
    for use in (cosmx.read, lambda: cosmx.dataset().record()):
        with pytest.raises(UnitBenchError, match=r"set.yaml: no cell masks: no CellLabels/…_F<number>.tif; add them"):
            use()


def test_a_mask_that_is_none_is_one_line(cosmx):
    cosmx.write("CellLabels/CellLabels_F001.tif", Image.fromarray(mask() + np.float32(0.5)).save)
    with pytest.raises(UnitBenchError, match="no cell mask"):
        cosmx.read()
    cosmx.write("CellLabels/CellLabels_F001.tif", lambda path: path.write_bytes(b"no image"))
    with pytest.raises(UnitBenchError, match=r"F001.tif: cannot be read"):
        cosmx.read()


def test_a_missing_image_is_an_error_or_declared(cosmx):
    (cosmx.path / "CellComposite/CellComposite_F001.png").unlink()
    with pytest.raises(UnitBenchError, match="no image of field 1; add it to `files`, or declare"):
        cosmx.read()
    (slide,) = cosmx.read(images={})
    assert "image" not in slide.uns and "pixel" not in slide.obsm
    with pytest.raises(UnitBenchError, match="there is none"):
        cut(slide, View(2.5, 5))


def test_a_corrupt_image_is_one_line(cosmx):
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
        ({"files": {"tx_file.csv": "0" * 64, "CellLabels/a_F001.tif": ""}}, "tx_file.csv: altered"),
        ({"files": {}}, "no sha256 of 'tx_file.csv'"),
    ],
)
def test_a_description_that_does_not_fit_is_one_line(cosmx, changes, message):
    with pytest.raises(UnitBenchError) as caught:
        cosmx.read(**changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_without_its_columns_is_one_line(cosmx):
    cosmx.write("tx_file.csv", lambda path: path.write_text("a,b\n1,2\n"))
    with pytest.raises(UnitBenchError, match=r"tx_file.csv: cannot be read \(.*do not match") as caught:
        cosmx.read()
    assert "\n" not in str(caught.value)


# Polygons


def box(x, y, side=4.0):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]])


@pytest.fixture
def merscope(tmp_path, monkeypatch):
    """An image of 40 × 60 µm whose corner is (100, 200); cell "a" in both planes, "b" in one, "c" beyond the image."""
    monkeypatch.setenv("UNITBENCH_DATA", str(tmp_path))
    about = {
        "name": "section",
        "transcripts": "transcripts.gz",
        "polygons": {0: "z0.gz", 1: "z1.gz"},
        "y_axis": "up",
        "corner": [100, 200],
        "size": [80, 120],
        "images": {"DAPI": {"stain": "DAPI", "path": "dapi.png"}},
    }
    folder = Folder(tmp_path, Merscope, about)
    points = [(112, 212, 0, "A"), (112, 212, 0, "Blank-1"), (113, 211, 1, "B"), (121, 221, 1, "A"), (121, 221, 0, "A")]
    table = pd.DataFrame(points, columns=["global_x", "global_y", "global_z", "gene"])
    folder.write("transcripts.gz", lambda path: table.to_csv(path, index=False, compression="gzip"))
    planes = {0: {"a": box(110, 210)}, 1: {"a": box(111, 210), "b": box(120, 220), "c": box(90, 210)}}
    for z, cells in planes.items():
        rows = [(x, -y, name) for name, corners in cells.items() for x, y in corners]
        corners = pd.DataFrame(rows, columns=["x", "y", "poly_ID"])
        folder.write(f"z{z}.gz", lambda path, c=corners: c.to_csv(path, index=False, compression="gzip"))
    grey = np.zeros((120, 80), np.uint8)
    grey[20:30, 20:30] = grey[40:50, 40:50] = 220
    folder.write("dapi.png", Image.fromarray(grey).save)
    return folder


def test_transcripts_count_in_the_polygons_of_their_plane(merscope):
    (slide,) = merscope.read()
    assert slide.obs["cell_ID"].tolist() == ["a", "b"] and slide.var_names.tolist() == ["A", "B"]
    assert slide.X.toarray().tolist() == [[1, 1], [1, 0]]
    assert slide.obsm["pixel"].tolist() == [[25, 24], [44, 44]]  # a: the mean of its planes, (12.5, 12) µm
    assert slide.uns["join"] == {
        "cells_beyond_the_image": 1, "transcripts_outside_cells": 1, "transcripts_of_control_probes": 1
    }  # fmt: skip
    tile = cut(slide, View(2, 4))
    assert tile.shape == (2, 4, 4, 3) and (tile == 220).all()


def test_polygons_elsewhere_than_their_transcripts_are_refused(merscope):
    with pytest.raises(UnitBenchError, match=r"0 of 5 transcripts lie in a cell.*correct `y_axis`"):
        merscope.read(y_axis="down")
    with pytest.raises(UnitBenchError, match="plane 1 has no polygons"):
        merscope.read(polygons={0: "z0.gz"})


def test_points_lie_in_their_polygons():
    rng = np.random.default_rng(0)
    corners = rng.random((30, 2)) * 80
    side = rng.uniform(1, 8, size=30)
    points = rng.random((4000, 2)) * 90
    inside = ((points[:, None] > corners) & (points[:, None] < corners + side[:, None])).all(axis=2)
    expected = np.where(inside.any(axis=1), 29 - inside[:, ::-1].argmax(axis=1), -1)  # the last of several
    found = within(points, [box(x, y, s) for (x, y), s in zip(corners, side, strict=True)])
    np.testing.assert_array_equal(found, expected)


def test_the_centre_of_a_polygon_is_that_of_its_area():
    triangle = np.array([[7000, -4000], [7006, -4000], [7000, -3997], [7000, -4000]], float)
    np.testing.assert_allclose(polygon_centre(triangle), [7002, -3999])
    np.testing.assert_allclose(polygon_centre(triangle[::-1]), [7002, -3999])


def test_small_parts():
    assert is_control(["NegPrb3", "Blank-7", "Negr1", "C9orf16", "SystemControl1"]).tolist() == [1, 1, 0, 0, 1]
    counts = count([1, 1, 5, 9], ["A", "A", "B", "A"], [1, 5], ["A", "B"])
    assert counts.toarray().tolist() == [[2, 0], [0, 1]]
    ids, centres = mask_centres(np.array([[0, 4, 4], [0, 0, 2]]))
    assert ids.tolist() == [2, 4] and centres.tolist() == [[2.5, 1.5], [2.0, 0.5]]
    labels = np.array([[1, 2]])
    x, y = np.array([0.5, 1.5, 2.5, -0.5]), np.full(4, 0.5)
    assert share_inside(labels, x, y, np.array([1, 1, 2, 1])) == 0.25  # the last two lie off the mask


# Real cells


@pytest.fixture(scope="module")
def fields():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITBENCH_DATA", str(DATA))
        yield list(Cosmx(describe=CONFIG / "cosmx_lung12_mini.yaml").slides())


@needs_data
def test_cosmx_has_120_cells_and_960_genes_beside_20_negative_probes(fields):
    assert [slide.shape for slide in fields] == [(67, 960), (53, 960)]
    table = pd.read_csv(DATA / "cosmx_vizgen_mini/inst/Mini_datasets/CosMx/Raw/Lung12_tx_file.csv")
    assert table["target"].nunique() == 980
    gene = table[(table["cell_ID"] > 0) & ~table["target"].str.startswith("NegPrb")]
    for fov, slide in zip((2, 3), fields, strict=True):
        there = gene[gene["fov"] == fov]
        assert slide.X.sum() == len(there)
        wide = there.groupby(["cell_ID", "target"]).size().unstack(fill_value=0)
        wide = wide.reindex(index=slide.obs["cell_ID"], columns=slide.var_names, fill_value=0)
        np.testing.assert_array_equal(slide.X.toarray(), wide)


@needs_data
def test_the_scale_of_cosmx_makes_its_stage_stop_at_whole_microns():
    folder = DATA / "cosmx_vizgen_mini/inst/Mini_datasets/CosMx/Raw"
    stops = pd.read_csv(folder / "Lung12_fov_positions_file.csv")[["x_global_px", "y_global_px"]].to_numpy()
    off = [abs(stops * scale - np.rint(stops * scale)).max() for scale in (0.18, 0.12028)]
    assert off[0] < 1e-6 and off[1] > 0.2


@needs_data
def test_transcripts_of_cosmx_lie_in_the_masks_of_their_cells_and_not_upside_down(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    about = yaml.safe_load((CONFIG / "cosmx_lung12_mini.yaml").read_text()) | {"y_axis": "down"}
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


@needs_data
def test_merscope_has_505_cells_on_their_nuclei(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    (slide,) = Merscope(describe=CONFIG / "merscope_brain_mini.yaml").slides()
    assert slide.shape == (505, 450) and slide.X.sum() == 32_328
    assert slide.uns["join"]["transcripts_outside_cells"] == 47_849
    assert 32_328 + 47_849 + slide.uns["join"]["transcripts_of_control_probes"] == 80_343
    tiles = cut(slide, View(20, 32))
    assert (tiles.reshape(505, -1).std(axis=1) > 1).sum() >= 504
    assert tiles[:, 12:20, 12:20].mean() > 1.3 * tiles[:, [0, 31]].mean()
