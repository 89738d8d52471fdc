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

MOST_PIXELS = 2_000_000_000  # of an image file: 6 GB once decoded
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
        return _rgb(image, record), image.size
    path = locate(record["folder"], record, record["url"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is our own limit
            with Image.open(path) as file:
                width, height = file.size
                if width * height > MOST_PIXELS:
                    raise UnitBenchError(
                        where, f"{width} × {height} pixels, at most {MOST_PIXELS:,}", "scale the image down"
                    )
                file.draft("RGB", (max(1, int(width / step)), max(1, int(height / step))))
                return _rgb(file, record), (width, height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnitBenchError(where, f"cannot be read ({error})", "replace the file") from None


def _rgb(image: Image.Image, record: Mapping[str, Any]) -> Image.Image:
    """In RGB; a record with `band` (0, 1 or 2) shows that colour alone, as grey."""
    image = image.convert("RGB")
    return image.getchannel(int(record["band"])).convert("RGB") if "band" in record else image


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
