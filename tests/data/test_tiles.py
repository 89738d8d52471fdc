"""Tiles: the right square of tissue for each spot, at the stated scale, or an error of one line."""

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import UnitBenchError
from benchmark.data import image as image_module
from benchmark.data import tiles as tiles_module
from benchmark.data.image import tissue_mask
from benchmark.data.prepare import write_corpus
from benchmark.data.tiles import View, cut, tiles
from benchmark.datasets.h5ad_folder import H5adFolder
from benchmark.datasets.her2st import Her2st
from benchmark.datasets.simulated import Simulated
from tests.helpers.real import DATA, needs_data


@pytest.fixture
def slide():
    """100 µm a pitch in 16 pixels."""
    return next(Simulated(n_donors=1, slides_per_donor=1, shape=(8, 8), n_genes=20).slides())


@pytest.fixture
def filed(slide, tmp_path, monkeypatch):
    """The same slide with its image in a PNG file of twice the size."""
    record = slide.uns["image"]
    pixels = np.repeat(np.repeat(record.pop("pixels"), 2, axis=0), 2, axis=1)
    (tmp_path / "set").mkdir()
    path = tmp_path / "set/tissue.png"
    Image.fromarray(pixels).save(path)
    monkeypatch.setattr(image_module, "locate", lambda folder, file, url: tmp_path / folder / file["path"])
    slide.uns["image"] = record | {"folder": "set", "path": "tissue.png", "url": "", "scale": 2.0}
    slide.uns["image"]["microns_per_pixel"] /= 2
    return slide, path


def test_a_tile_of_one_pitch_is_the_square_of_pixels_around_its_spot(slide):
    pixels = slide.uns["image"]["pixels"]
    for tile, (x, y) in zip(cut(slide, View(100, 16)), slide.obsm["pixel"].astype(int), strict=True):
        np.testing.assert_array_equal(tile, pixels[y - 8 : y + 8, x - 8 : x + 8])


def test_half_the_pixels_are_means_of_four(slide):
    whole, half = (cut(slide, View(100, n)).astype(float) for n in (16, 8))
    n = len(whole)
    # PIL rounds rows, then columns: to 1.
    np.testing.assert_allclose(half, whole.reshape(n, 8, 2, 8, 2, 3).mean(axis=(2, 4)), atol=1)


def test_a_larger_field_of_view_shows_the_smaller_one_in_its_middle(slide):
    small, large = cut(slide, View(100, 16)), cut(slide, View(200, 32))
    np.testing.assert_array_equal(large[:, 8:24, 8:24], small)


def test_beyond_the_border_the_image_is_mirrored(slide):
    corner = np.lexsort(slide.obsm["pixel"].T)[0]
    y = int(slide.obsm["pixel"][corner, 1])
    tile = cut(slide, View(300, 48))[corner]  # 24 pixels on each side of the middle
    beyond = 24 - y
    assert beyond > 0
    np.testing.assert_array_equal(tile[:beyond], tile[beyond : 2 * beyond][::-1])


def test_the_file_gives_the_tiles_of_the_array(slide, filed):
    again = next(Simulated(n_donors=1, slides_per_donor=1, shape=(8, 8), n_genes=20).slides())
    np.testing.assert_array_equal(cut(filed[0], View(100, 16)), cut(again, View(100, 16)))


def test_tiles_are_cut_once_and_memory_mapped(tmp_path, monkeypatch):
    data = Simulated(n_donors=1, slides_per_donor=1, shape=(6, 6), n_genes=20)
    corpus = write_corpus(data.slides(), tmp_path, data.record())
    first = tiles(corpus, "donor0_0", View(100, 8))
    assert isinstance(first, np.memmap) and first.shape == (corpus["donor0_0"].n_obs, 8, 8, 3)
    monkeypatch.setattr(tiles_module, "cut", lambda *_: pytest.fail("cut again"))
    np.testing.assert_array_equal(tiles(corpus, "donor0_0", View(100, 8)), first)


def test_otsu_finds_stain_but_neither_glass_nor_black():
    pixels = np.full((20, 30, 3), 240, np.uint8)
    pixels[:, 10:20] = (150, 80, 160)
    pixels[:, 20:] = (3, 0, 2)
    expected = np.zeros((20, 30), dtype=bool)
    expected[:, 10:20] = True
    np.testing.assert_array_equal(tissue_mask(pixels), expected)


def test_in_fluorescence_bright_pixels_are_tissue():
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, 10:20] = (0, 0, 40)
    pixels[:, 20:] = (90, 90, 90)  # grey: without any saturation
    np.testing.assert_array_equal(tissue_mask(pixels, "fluorescence"), np.arange(30) >= np.full((20, 1), 10))
    assert not tissue_mask(np.full((5, 5, 3), 7, np.uint8), "fluorescence").any()


def test_one_colour_of_an_image_is_shown_as_grey(slide):
    whole = cut(slide, View(100, 16))
    slide.uns["image"] |= {"band": 2, "light": "fluorescence"}
    assert (cut(slide, View(100, 16)) == whole[..., 2:]).all()


# What cannot be cut


def test_a_slide_without_an_image_is_an_error(slide):
    del slide.uns["image"]
    with pytest.raises(UnitBenchError, match="image of slide donor0_0: there is none; leave the slide out"):
        cut(slide, View(100, 16))


def test_an_image_that_does_not_cover_its_spots_is_refused(slide):
    slide.uns["image"]["pixels"] = slide.uns["image"]["pixels"][:, :64]
    lost = int((slide.obsm["pixel"][:, 0] >= 64).sum())
    with pytest.raises(UnitBenchError, match=rf"64 × 128 pixels do not cover {lost} of \d+ spots"):
        cut(slide, View(100, 16))


def test_a_wrong_scale_puts_spots_off_the_tissue_and_is_refused(slide):
    pixels = slide.uns["image"]["pixels"]
    glass = np.full((512, 512, 3), 240, np.uint8)
    glass[: len(pixels), : pixels.shape[1]] = (150, 80, 160)
    slide.uns["image"]["pixels"] = glass
    assert len(cut(slide, View(100, 16))) == slide.n_obs
    slide.uns["image"]["scale"] = 3.0
    with pytest.raises(UnitBenchError, match=r"\d+% of the spots lie off the tissue; correct its scale"):
        cut(slide, View(100, 16))


def test_a_corrupt_file_is_an_error_of_one_line(filed):
    slide, path = filed
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnitBenchError, match=r"image of slide donor0_0 \(tissue.png\): cannot be read"):
        cut(slide, View(100, 16))
    path.write_bytes(b"no image")
    with pytest.raises(UnitBenchError, match="cannot be read"):
        cut(slide, View(100, 16))


def test_an_enormous_file_is_refused_before_it_is_decoded(filed, monkeypatch):
    monkeypatch.setattr(image_module, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnitBenchError, match="256 × 256 pixels, at most 10,000; scale the image down"):
        cut(filed[0], View(100, 16))


def test_a_tile_that_shows_the_annotation_is_refused(slide):
    slide.uns["image"]["annotation"] = {"x": [0, 20], "y": [0, 20]}
    with pytest.raises(UnitBenchError, match="tiles show the pathologist's annotation"):
        cut(slide, View(100, 16))


# Real tissue


@needs_data
@pytest.mark.parametrize("name", ["A1", "C3"])
def test_tiles_of_her2st_show_stained_tissue(name, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    (slide,) = Her2st(only=(name,)).slides()
    shown = cut(slide, View(112, 32))
    assert shown.shape == (slide.n_obs, 32, 32, 3)
    red, green, blue = shown.reshape(-1, 3).mean(axis=0)
    assert green < red and green < blue  # haematoxylin and eosin let little green through


@needs_data
def test_a_wrong_scale_of_her2st_is_refused(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    (slide,) = Her2st(only=("C3",)).slides()
    slide.uns["image"]["scale"] = 0.7
    with pytest.raises(UnitBenchError, match=r"[1-9]\d% of the spots lie off the tissue"):
        cut(slide, View(112, 32))


@needs_data
def test_the_image_of_dlpfc_is_declared_as_colour_and_covers_its_spots(monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    slide = next(H5adFolder(describe="config/datasets/dlpfc.yaml").slides())
    assert slide.uns["image"]["kind"] == "colour"
    spots_wide = 600 * slide.uns["image"]["microns_per_pixel"] / 100
    assert 80 < spots_wide < 120  # the array is 64 spots wide, within a margin of glass
    assert cut(slide, View(100, 6)).shape == (slide.n_obs, 6, 6, 3)
