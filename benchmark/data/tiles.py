"""Image tiles: the stained tissue around each spot at a stated field of view, cut once and kept beside the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_array, write_atomic
from benchmark.data.image import BRIGHT_FIELD, open_image, share_off_tissue

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

MOST_OFF_TISSUE = 0.1  # share of spots


@dataclass(frozen=True)
class View:
    """What a tile shows: a square of `microns` × `microns` of tissue in `pixels` × `pixels`."""

    microns: float
    pixels: int

    @property
    def name(self) -> str:
        return f"{self.microns:g}um-{self.pixels}px"


def has_image(slide: ad.AnnData) -> bool:
    """Whether the slide records an image. The image is not opened."""
    return "image" in slide.uns


def no_image(slide: str, remedy: str) -> UnitBenchError:
    """The error for a slide without an image."""
    return UnitBenchError(f"image of slide {slide}", "there is none", remedy)


def tiles(corpus: Corpus, name: str, view: View) -> np.ndarray:
    """Tiles of the spots of one slide, uint8 `[n_spots, pixels, pixels, 3]`, memory-mapped.

    Raises:
        UnitBenchError: as `cut` does.
    """
    digest = corpus.record["slides"][name]["sha256"][:12]
    path = corpus.kept("tiles") / view.name / f"{name}-{digest}.npy"
    if not path.exists():
        cut_tiles = cut(corpus[name], view)
        write_atomic(path, lambda temporary: np.save(temporary, cut_tiles))
    return read_array(path)


def cut(slide: ad.AnnData, view: View) -> np.ndarray:
    """Tiles around the spots of a slide, uint8 `[n_spots, pixels, pixels, 3]`. At its border the image is mirrored.

    Raises:
        UnitBenchError: the slide has no image, the file is corrupt or enormous, the image does not cover the spots, a
            tile would show the pathologist's annotation, or over a tenth of the spots lie off the tissue.
    """
    if not has_image(slide):
        raise no_image(slide.uns["slide"], "leave the slide out, or take a method that needs no image")
    record = slide.uns["image"]
    where = f"image of slide {slide.uns['slide']}" + (f" ({record['path']})" if "path" in record else "")
    side = view.microns / record["microns_per_pixel"]  # of a tile, in pixels of the file
    image, size = open_image(record, side / view.pixels, where)
    reduced = image.size[0] / size[0]
    centre = np.asarray(slide.obsm["pixel"], float) * record.get("scale", 1.0)
    _check_cover(centre, size, where)
    if "annotation" in record:
        _check_annotation(centre, side, record["annotation"], where)
    pitch = slide.uns["lattice"]["pitch"] / record["microns_per_pixel"]
    off = share_off_tissue(image, centre * reduced, pitch * reduced, record.get("light", BRIGHT_FIELD))
    if off > MOST_OFF_TISSUE:
        raise UnitBenchError(
            where, f"{off:.0%} of the spots lie off the tissue", "correct its scale or the spots' pixel positions"
        )
    return _crop(np.asarray(image), centre * reduced, side * reduced, view.pixels)


def _check_cover(centre: np.ndarray, size: tuple[int, int], where: str) -> None:
    outside = ((centre < 0) | (centre >= size)).any(axis=1)
    if outside.any():
        raise UnitBenchError(
            where,
            f"{size[0]} × {size[1]} pixels do not cover {outside.sum()} of {len(centre)} spots",
            "correct its scale, or give the whole image",
        )


def _check_annotation(centre: np.ndarray, side: float, annotation: dict[str, Any], where: str) -> None:
    low, high = np.array([annotation["x"], annotation["y"]]).T
    shown = ((centre + side / 2 > low) & (centre - side / 2 < high)).all(axis=1)
    if shown.any():
        raise UnitBenchError(where, f"{shown.sum()} tiles show the pathologist's annotation", "take a smaller view")


def _crop(pixels: np.ndarray, centre: np.ndarray, side: float, n: int) -> np.ndarray:
    """Squares of `side` pixels around (x, y) `[n_spots, 2]`, each resampled to n × n."""
    from PIL import Image

    border = int(np.ceil(side / 2)) + 1
    padded = Image.fromarray(np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="symmetric"))
    resample = Image.Resampling.BOX if side >= n else Image.Resampling.BILINEAR
    cropped = np.empty((len(centre), n, n, 3), np.uint8)
    for tile, (x, y) in zip(cropped, centre + border, strict=True):
        box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        tile[:] = np.asarray(padded.resize((n, n), resample, box=box))
    return cropped
