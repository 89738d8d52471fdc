"""Images of any usual type and shape become the same RGB image, or are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from benchmark.core.errors import UnitBenchError
from benchmark.data import image as module
from benchmark.data.image import open_image, rgb

RGB = np.random.default_rng(0).integers(0, 256, size=(6, 7, 3)).astype(np.uint8)
RGB[0, 0] = 255


@pytest.mark.parametrize(
    "given",
    [
        RGB,
        RGB / 255,
        RGB.astype(np.float32),
        RGB.astype(np.int64),
        RGB.astype(np.uint16) * 257,
        np.moveaxis(RGB, 2, 0),
        np.dstack([RGB, np.full((6, 7), 255, np.uint8)]),
        np.dstack([RGB / 255, np.ones((6, 7))]),
    ],
    ids=["uint8", "0 to 1", "0 to 255", "int64", "uint16", "channel first", "RGBA", "RGBA of floats"],
)
def test_every_usual_form_of_an_image_is_the_same_image(given):
    np.testing.assert_array_equal(rgb(given, "image"), RGB)


def test_grey_is_shown_in_all_colours_and_what_is_transparent_shows_white():
    np.testing.assert_array_equal(rgb(RGB[..., 0], "image"), np.repeat(RGB[..., :1], 3, axis=2))
    np.testing.assert_array_equal(rgb(RGB[..., :1], "image"), rgb(RGB[..., 0], "image"))
    assert (rgb(np.zeros((4, 5, 4), np.uint8), "image") == 255).all()
    assert (rgb(np.zeros((4, 5, 4), np.uint8), "image", behind=0) == 0).all()


def test_twelve_bits_are_scaled_by_their_own_range():
    assert rgb(np.array([[0, 4095]], np.uint16), "image")[0, :, 0].tolist() == [0, 255]
    assert rgb(np.array([[0, 65535]], np.uint16), "image")[0, :, 0].tolist() == [0, 255]


@given(arrays(st.sampled_from([np.float32, np.uint16, np.int32]), (5, 6)))
def test_an_image_is_of_eight_bits_or_refused(pixels):
    try:
        shown = rgb(pixels, "image")
    except UnitBenchError as error:
        assert "with values from" in str(error)
        assert pixels.dtype != np.uint16
        return
    assert shown.dtype == np.uint8 and shown.shape == (5, 6, 3)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((5, 5, 2)), r"the image is float64 \[5, 5, 2\]; give \[h, w\]"),
        (np.zeros(4), r"the image is float64 \[4\]"),
        (np.zeros((0, 5)), r"the image is float64 \[0, 5\]"),
        (np.full((4, 5), np.nan), "with values from nan to nan"),
        (np.full((4, 5), 300.0), "with values from 300 to 300; give values of 0 to 255"),
        (np.full((4, 5), -1), "with values from -1 to -1"),
        (np.full((4, 5), "x"), "give whole numbers"),
    ],
)
def test_an_image_of_another_form_is_an_error_of_one_line(pixels, message):
    with pytest.raises(UnitBenchError, match=message):
        rgb(pixels, "one.h5ad")


def filed(image, tmp_path, monkeypatch):
    image.save(tmp_path / "image.png")
    monkeypatch.setattr(module, "locate", lambda folder, file, url: tmp_path / file["path"])
    return {"folder": "", "path": "image.png", "url": ""}


def test_a_file_of_sixteen_bits_keeps_its_contrast(tmp_path, monkeypatch):
    record = filed(Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)), tmp_path, monkeypatch)
    image, _ = open_image(record, 1.0, "image")
    assert np.asarray(image)[0, :, 0].tolist() == [0, 100, 255]


def test_a_file_with_transparency_shows_white_behind_it(tmp_path, monkeypatch):
    record = filed(Image.new("RGBA", (3, 2), (9, 9, 9, 0)), tmp_path, monkeypatch)
    assert (np.asarray(open_image(record, 1.0, "image")[0]) == 255).all()


def test_pillows_own_limit_is_an_error_of_one_line_before_anything_is_decoded(tmp_path, monkeypatch):
    record = filed(Image.new("L", (300, 200)), tmp_path, monkeypatch)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(
        UnitBenchError, match=r"image: Image size \(60000 pixels\) exceeds limit .*; scale the image down"
    ):
        open_image(record, 1.0, "image")


def test_the_limit_is_pillows():
    assert module.MOST_PIXELS == 2 * 89_478_485  # where Pillow refuses, by its documentation: twice the warning
