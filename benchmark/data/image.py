"""The image of a slide: opened at the size that is needed, in RGB, and its pixels that show tissue."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.data.source import locate

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 178_956_970  # of an image: Pillow's own limit, about 0.5 GB in RGB
BRIGHT_FIELD = "bright field"  # of uns["image"]["light"]: stain takes light away; "fluorescence": stain is light
BLACK = 30  # the greatest channel of a pixel that shows nothing
THUMBNAIL = 1024  # pixels along the longer side of the image in which tissue is looked for


def open_image(record: Mapping[str, Any], step: float, where: str) -> tuple[Image.Image, tuple[int, int]]:
    """The image in RGB, perhaps reduced, and the size (width, height) that it has in its file.

    Args:
        record: `uns["image"]` of the slide.
        step: pixels of the file to one pixel that is needed. A JPEG is decoded no larger than that takes.
        where: what error messages call the image.

    Raises:
        UnitBenchError: the file is missing, corrupt or enormous.
    """
    from PIL import Image

    if "pixels" in record:
        image = Image.fromarray(np.asarray(record["pixels"]))
        return _shown(image, record), image.size
    path = locate(record["folder"], record, record["url"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is our own limit
            with Image.open(path) as file:
                width, height = file.size
                check_size(width, height, where)
                file.draft("RGB", (max(1, int(width / step)), max(1, int(height / step))))
                return _shown(file, record), (width, height)
    except Image.DecompressionBombError as error:  # Pillow knows the size before anything is decoded
        raise UnitBenchError(where, str(error), "scale the image down") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UnitBenchError(where, f"cannot be read ({error})", "replace the file") from None


def check_size(width: int, height: int, where: object) -> None:
    """Raises UnitBenchError: an image with so many pixels would take too much memory."""
    if width * height > MOST_PIXELS:
        raise UnitBenchError(
            where, f"the image has {width} × {height} pixels, at most {MOST_PIXELS:,}", "scale the image down"
        )


def _shown(image: Image.Image, record: Mapping[str, Any]) -> Image.Image:
    """In RGB; a record with `band` (0, 1 or 2) shows that colour alone, as grey.

    Pillow would cut 16-bit values off at 255, and show hidden colours where an image is transparent.
    """
    from PIL import Image

    if image.mode.startswith(("I", "F")) or image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA") if image.has_transparency_data else image)
        light = record.get("light", BRIGHT_FIELD)
        image = Image.fromarray(rgb(pixels, record.get("path", "image"), 255 if light == BRIGHT_FIELD else 0))
    image = image.convert("RGB")
    return image.getchannel(int(record["band"])).convert("RGB") if "band" in record else image


def rgb(pixels: np.ndarray, where: object, behind: int = 255) -> np.ndarray:
    """An image as uint8 `[h, w, 3]`.

    Floats are of 0 to 1, or of 0 to 255. Whole numbers are of 8, 12 or 16 bits: the fewest that hold the greatest.

    Args:
        pixels: grey `[h, w]`; or RGB or RGBA, or one grey channel, last `[h, w, c]` or first `[c, h, w]`.
        behind: what shows through where an RGBA image is transparent: 255, white, or 0.

    Raises:
        UnitBenchError: another shape or type, a value that is negative, not finite or too large, or too many pixels.
    """
    given = f"the image is {pixels.dtype} {list(pixels.shape)}"
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise UnitBenchError(where, given, "give [h, w], [h, w, 3] or [h, w, 4]")
    check_size(pixels.shape[1], pixels.shape[0], where)
    if pixels.dtype.kind not in "uif":
        raise UnitBenchError(where, given, "give whole numbers, or floats of 0 to 1")
    least, greatest = float(pixels.min()), float(pixels.max())
    whole = pixels.dtype.kind in "ui"
    full = next((limit for limit in ((255, 4095, 65535) if whole else (1, 255)) if greatest <= limit), None)
    if not (least >= 0 and full):  # NaN is not at least 0
        cause = f"{given} with values from {least:g} to {greatest:g}"
        raise UnitBenchError(where, cause, "give values of 0 to 255, or floats of 0 to 1")
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels.astype(np.float32) * np.float32(255 / full)).astype(np.uint8)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        pixels = np.rint(pixels[..., :3] * alpha + behind * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def tissue_mask(pixels: np.ndarray, light: str = BRIGHT_FIELD) -> np.ndarray:
    """Which pixels `[h, w, 3]` show stain, bool `[h, w]`, by Otsu's threshold.

    In bright field the threshold is of the saturation, since glass is white; black pixels are left out. In fluorescence
    it is of the logarithm of the brightness: glass is black, and a dim nucleus is tissue as much as a bright one.
    """
    from skimage.filters import threshold_otsu

    greatest = pixels.max(axis=-1).astype(float)
    if light == BRIGHT_FIELD:
        stain = (greatest - pixels.min(axis=-1)) / np.maximum(greatest, 1)
        lit = greatest > BLACK
    else:
        stain, lit = np.log1p(greatest), np.ones(greatest.shape, dtype=bool)
    if not lit.any() or np.ptp(stain[lit]) == 0:
        return np.zeros(pixels.shape[:2], dtype=bool)
    return lit & (stain >= threshold_otsu(stain[lit]))


def share_off_tissue(image: Image.Image, centre: np.ndarray, pitch: float, light: str) -> float:
    """Share of the spots at (x, y) pixels `[n_spots, 2]` that lie off the tissue.

    A spot is on the tissue if any part of its lattice cell, a square of `pitch` pixels, is.
    """
    from scipy.ndimage import maximum_filter

    factor = min(1.0, THUMBNAIL / max(image.size))
    width, height = (max(1, round(length * factor)) for length in image.size)
    mask = tissue_mask(np.asarray(image.resize((width, height))), light)
    near = maximum_filter(mask, size=max(1, round(pitch * factor)))
    x, y = np.minimum((centre * factor).astype(int), [width - 1, height - 1]).T
    return float(1 - near[y, x].mean())
