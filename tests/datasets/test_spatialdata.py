"""SpatialData: small stores with shapes, masks, several regions, images and missing labels."""

import builtins

import numpy as np
import pytest

from benchmark.core.errors import UnitBenchError
from tests.helpers.spatialdata_stores import BRIGHT, Stores, circles, package, picture, table


@pytest.fixture
def stores(tmp_path):
    stores = Stores(tmp_path)
    stores.write()
    return stores


def test_spots_lie_at_the_centres_of_their_shapes(stores):
    (slide,) = stores.read()
    assert slide.obs_names.tolist() == [f"c{i}" for i in range(6)] and slide.var_names.tolist() == ["A", "B", "C"]
    assert slide.X.toarray().tolist() == np.arange(18).reshape(6, 3).tolist()
    assert slide.obsm["lattice"].tolist() == [[0, i] for i in range(6)]
    assert slide.uns["join"]["shapes_without_counts"] == 0
    assert (slide.uns["slide"], slide.uns["donor"]) == ("one", "D1")


def test_positions_are_those_of_the_coordinate_system_that_is_asked(stores):
    scaled = package().transformations.Scale([2.0, 2.0], axes=("x", "y"))
    stores.write(shapes={"cells": circles(microns=scaled)})
    (slide,) = stores.read(coordinate_system="microns")
    assert slide.obsm["lattice"][:, 1].tolist() == [0, 2, 4, 6, 8, 10]
    scaled = {"kind": "binned", "pitch": 10, "unit": "µm", "scale": 2}
    (same,) = stores.read(lattice=scaled)  # 2 µm a unit of "global"
    assert np.array_equal(slide.obsm["position"], same.obsm["position"])


def test_a_missing_label_makes_no_class(stores):
    """SpatialData writes NaN in a column of text as the word "nan"."""
    stores.write(tables={"table": table(layer=["a", "b", np.nan, None, "a", "b"])})
    (slide,) = stores.read(label="layer")
    assert slide.obs["label"].cat.categories.tolist() == ["a", "b"]
    assert slide.obs["label"].isna().tolist() == [False, False, True, True, False, False]


def test_spots_may_be_the_cells_of_a_mask(stores):
    mask = np.zeros((40, 60), dtype=int)
    mask[2:6, 3:9], mask[10:20, 20:30] = 10, 11
    labels = package().models.Labels2DModel.parse(mask, dims=("y", "x"))
    stores.write(tables={"table": table(2)}, shapes={}, labels={"cells": labels})
    (slide,) = stores.read(lattice={"kind": "binned", "pitch": 1, "unit": "µm"})
    assert (slide.obsm["position"][1] - slide.obsm["position"][0]).tolist() == [11, 19]  # centres (6, 4) and (25, 15)


def test_each_region_of_a_table_may_be_a_slide(stores):
    data = table(region=["left"] * 3 + ["right"] * 3, cell=[10, 11, 12, 10, 11, 12])
    stores.write(tables={"table": data}, shapes={"left": circles(3), "right": circles(4)})
    donor = {"left": "D1", "right": "D2"}
    left, right = stores.read(slide={"obs": "region"}, donor=donor)
    assert (left.uns["slide"], right.uns["slide"], right.uns["donor"]) == ("left", "right", "D2")
    assert left.obsm["lattice"].tolist() == right.obsm["lattice"].tolist() == [[0, 0], [0, 1], [0, 2]]
    assert right.uns["join"]["shapes_without_counts"] == 1
    assert stores.dataset(slide={"obs": "region"}, donor=donor).record()["donors"] == donor
    with pytest.raises(UnitBenchError, match=r"2 regions: left, right; make each a slide: `slide: {obs: region}`"):
        stores.read()


def test_an_image_lies_under_its_spots(stores):
    half = package().transformations.Scale([0.5, 0.5], axes=("x", "y"))  # a pixel is half a unit
    stores.write(images={"he": picture(transformations={"global": half})})
    wanted = {"element": "he", "stain": "H&E", "kind": "morphology"}
    (slide,) = stores.read(image=wanted)
    assert slide.obsm["pixel"][:2].tolist() == [[10, 10], [30, 10]]
    assert slide.uns["image"]["microns_per_pixel"] == pytest.approx(0.5)
    assert np.array_equal(slide.uns["image"]["pixels"], np.moveaxis(BRIGHT, 0, 2))
    (coarse,) = stores.read(image=wanted | {"level": 1})
    assert coarse.uns["image"]["pixels"].shape == (20, 30, 3)
    np.testing.assert_allclose(coarse.obsm["pixel"], slide.obsm["pixel"] / 2, atol=1e-4)
    assert coarse.uns["image"]["microns_per_pixel"] == pytest.approx(1)


def test_one_channel_of_many_is_shown(stores):
    four = np.stack([np.full((40, 60), value, np.uint8) for value in (10, 20, 30, 40)])
    stores.write(images={"if": picture(four, c_coords=["DAPI", "a", "b", "c"])})
    wanted = {"element": "if", "stain": "DAPI", "kind": "morphology", "light": "fluorescence"}
    (slide,) = stores.read(image=wanted | {"channel": "b"})
    assert (slide.uns["image"]["pixels"] == 30).all() and slide.uns["image"]["light"] == "fluorescence"
    with pytest.raises(UnitBenchError, match=r"4 channels: DAPI, a, b, c; name one in `image.channel`"):
        stores.read(image=wanted)


def test_the_array_of_visium_is_a_lattice_of_hexagons(stores):
    stores.write(tables={"table": table(array_row=[0] * 6, array_col=np.arange(6) * 2, in_tissue=[1] * 5 + [0])})
    (slide,) = stores.read(lattice={"kind": "hex", "pitch": 100, "unit": "µm"})
    assert slide.obsm["lattice"].tolist() == [[0, i] for i in range(5)]
    assert slide.uns["join"]["spots_off_the_tissue_left_out"] == 1


def test_the_record_changes_with_what_is_read_and_with_nothing_else(stores):
    stores.write(images={"he": picture()})
    record = stores.dataset().record()
    (stores.path / "one.zarr/images/he/s0/zarr.json").write_text("changed")
    assert stores.dataset().record() == record
    stores.write(tables={"table": table(layer=["a"] * 6)})
    assert stores.dataset().record() != record
    with pytest.raises(UnitBenchError, match=r"one.zarr: altered"):
        stores.read(files={"one.zarr": record["files"][0]["sha256"]})


def test_a_folder_may_be_the_store_itself(stores):
    assert stores.read(folder=str(stores.path / "one.zarr"))[0].n_obs == 6


def test_without_the_package_the_line_says_how_to_install_it(stores, monkeypatch):
    real = builtins.__import__

    def lacks(name, *rest):
        if name.startswith("spatialdata"):
            raise ImportError("No module named 'spatialdata'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lacks)
    with pytest.raises(UnitBenchError, match=r"not installed.*pip install .*\[spatialdata\]"):
        stores.read()
