"""Image tiles: the stained tissue around each spot at a stated field of view, cut once and kept beside the corpus."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import write_atomic
from benchmark.data.source import locate

if TYPE_CHECKING:
    import anndata as ad
    from PIL import Image

    from benchmark.data.corpus import Corpus

MOST_PIXELS = 2_000_000_000  # of an image file: 6 GB once decoded
MOST_OFF_TISSUE = 0.1  # share of spots
BRIGHT_FIELD = "bright field"  # of uns["image"]["light"]: stain takes light away; "fluorescence": stain is light
BLACK = 30  # the greatest channel of a pixel that shows nothing
THUMBNAIL = 1024  # pixels along the longer side, where tissue is looked for


@dataclass(frozen=True)
class View:
    """What a tile shows: a square of `microns` of tissue in `pixels` × `pixels`."""

    microns: float
    pixels: int

    @property
    def name(self) -> str:
        return f"{self.microns:g}um-{self.pixels}px"


def has_image(slide: ad.AnnData) -> bool:
    return "image" in slide.uns


def no_image(slide: str, remedy: str) -> UnitBenchError:
    return UnitBenchError(f"image of slide {slide}", "there is none", remedy)


def tiles(corpus: Corpus, name: str, view: View) -> np.ndarray:
    """Tiles of one slide's spots, uint8 `[n_spots, pixels, pixels, 3]`, memory-mapped.

    Raises:
        UnitBenchError: as `cut` does.
    """
    digest = corpus.record["slides"][name]["sha256"][:12]
    path = corpus.folder / "tiles" / view.name / f"{name}-{digest}.npy"
    if not path.exists():
        cut_tiles = cut(corpus[name], view)
        write_atomic(path, lambda temporary: np.save(temporary, cut_tiles))
    return np.load(path, mmap_mode="r")


def cut(slide: ad.AnnData, view: View) -> np.ndarray:
    """Tiles around the spots of a slide, uint8 `[n_spots, pixels, pixels, 3]`; beyond its border an image is mirrored.

    Raises:
        UnitBenchError: the slide has no image, its file is corrupt or enormous, it does not cover the spots, a tile
            would show the pathologist's annotation, or over a tenth of the spots lie off the tissue.
    """
    if not has_image(slide):
        raise no_image(slide.uns["slide"], "leave the slide out, or take a method that needs no image")
    record = slide.uns["image"]
    where = f"image of slide {slide.uns['slide']}" + (f" ({record['path']})" if "path" in record else "")
    image, size = _open(record, view, where)
    reduced = image.size[0] / size[0]  # a JPEG is decoded no larger than the tiles need it
    side = view.microns / record["microns_per_pixel"]
    centre = np.asarray(slide.obsm["pixel"], float) * record.get("scale", 1.0)
    _check_cover(centre, size, where)
    if "annotation" in record:
        _check_annotation(centre, side, record["annotation"], where)
    pitch = slide.uns["lattice"]["pitch"] / record["microns_per_pixel"]
    _check_tissue(image, centre * reduced, pitch * reduced, record.get("light", BRIGHT_FIELD), where)
    return _crop(np.asarray(image), centre * reduced, side * reduced, view.pixels)


def tissue_mask(pixels: np.ndarray, light: str = BRIGHT_FIELD) -> np.ndarray:
    """Which pixels `[h, w, 3]` show stain, bool `[h, w]`, by Otsu's threshold.

    In bright field, of the saturation, black left out: glass is white. In fluorescence, of the logarithm of the
    brightness: glass is black, and a dim nucleus is tissue beside a bright one.
    """
    from skimage.filters import threshold_otsu

    greatest = pixels.max(axis=-1).astype(float)
    if light == BRIGHT_FIELD:
        shown = (greatest - pixels.min(axis=-1)) / np.maximum(greatest, 1)
        lit = greatest > BLACK
    else:
        shown, lit = np.log1p(greatest), np.ones(greatest.shape, dtype=bool)
    if not lit.any() or np.ptp(shown[lit]) == 0:
        return np.zeros(pixels.shape[:2], dtype=bool)
    return lit & (shown >= threshold_otsu(shown[lit]))


def _open(record: dict, view: View, where: str) -> tuple[Image.Image, tuple[int, int]]:
    """The image in RGB, perhaps reduced, and the size of the file's own (width, height)."""
    from PIL import Image

    if "pixels" in record:
        image = Image.fromarray(np.asarray(record["pixels"]))
        return _rgb(image, record), image.size
    path = locate(record["folder"], record, record["url"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is our own limit
            with Image.open(path) as file:
                size = file.size
                if size[0] * size[1] > MOST_PIXELS:
                    raise UnitBenchError(
                        where, f"{size[0]} × {size[1]} pixels, at most {MOST_PIXELS:,}", "scale it down"
                    )
                step = view.microns / record["microns_per_pixel"] / view.pixels
                file.draft("RGB", tuple(max(1, int(length / step)) for length in size))
                return _rgb(file, record), size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnitBenchError(where, f"cannot be read ({error})", "replace the file") from None


def _rgb(image: Image.Image, record: dict) -> Image.Image:
    """In RGB; a record with `band` (0, 1 or 2) shows that colour alone, as grey."""
    image = image.convert("RGB")
    return image.getchannel(int(record["band"])).convert("RGB") if "band" in record else image


def _check_cover(centre: np.ndarray, size: tuple[int, int], where: str) -> None:
    outside = ((centre < 0) | (centre >= size)).any(axis=1)
    if outside.any():
        raise UnitBenchError(
            where,
            f"{size[0]} × {size[1]} pixels do not cover {outside.sum()} of {len(centre)} spots",
            "correct its scale, or give the whole image",
        )


def _check_annotation(centre: np.ndarray, side: float, annotation: dict, where: str) -> None:
    low, high = np.array([annotation["x"], annotation["y"]]).T
    shown = ((centre + side / 2 > low) & (centre - side / 2 < high)).all(axis=1)
    if shown.any():
        raise UnitBenchError(where, f"{shown.sum()} tiles show the pathologist's annotation", "take a smaller view")


def _check_tissue(image: Image.Image, centre: np.ndarray, pitch: float, light: str, where: str) -> None:
    """A spot is on the tissue where any of its lattice cell is."""
    from scipy.ndimage import maximum_filter

    factor = min(1.0, THUMBNAIL / max(image.size))
    width, height = (max(1, round(length * factor)) for length in image.size)
    mask = tissue_mask(np.asarray(image.resize((width, height))), light)
    near = maximum_filter(mask, size=max(1, round(pitch * factor)))
    x, y = np.minimum((centre * factor).astype(int), [width - 1, height - 1]).T
    off = 1 - near[y, x].mean()
    if off > MOST_OFF_TISSUE:
        raise UnitBenchError(
            where, f"{off:.0%} of the spots lie off the tissue", "correct its scale or the spots' pixel positions"
        )


def _crop(pixels: np.ndarray, centre: np.ndarray, side: float, n: int) -> np.ndarray:
    """Squares of `side` pixels around (x, y) `[n_spots, 2]`, each resampled to n × n."""
    from PIL import Image

    border = int(np.ceil(side / 2)) + 1
    padded = Image.fromarray(np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="symmetric"))
    found = np.empty((len(centre), n, n, 3), np.uint8)
    for tile, (x, y) in zip(found, centre + border, strict=True):
        box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        tile[:] = padded.resize((n, n), Image.Resampling.BOX if side >= n else Image.Resampling.BILINEAR, box=box)
    return found
