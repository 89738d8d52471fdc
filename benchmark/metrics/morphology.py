"""Morphology of stained tissue in small tiles: nuclei are found by their stain; their shape and stain are measured."""

from __future__ import annotations

import numpy as np

FEATURES = (
    "nuclei",  # how many
    "nuclear_share",  # of the tile's area
    "area",  # of a nucleus, share of the tile; this and all below are means over the nuclei
    "perimeter",  # in sides of the tile
    "eccentricity",
    "solidity",
    "major_axis",  # in sides of the tile
    "minor_axis",
    "stain",  # of haematoxylin in the nuclei, optical density
    "stain_deviation",  # within them
)
SMALLEST = 4  # pixels of a nucleus, at least


def haematoxylin(tiles: np.ndarray) -> np.ndarray:
    """Optical density of haematoxylin, uint8 `[n, h, w, 3]` → float32 `[n, h, w]` (Ruifrok and Johnston 2001)."""
    from skimage.color import rgb2hed

    density: np.ndarray = rgb2hed(tiles)[..., 0].astype(np.float32)
    return density


def threshold(tiles: np.ndarray) -> float:
    """The stain above which a pixel is nuclear, by Otsu's method over all `tiles`, uint8 `[n, h, w, 3]`.

    One threshold serves all tiles, so an empty tile has no nuclei.
    """
    from skimage.filters import threshold_otsu

    density = haematoxylin(tiles)
    return float(threshold_otsu(density)) if np.ptp(density) > 0 else np.inf


def morphology(tiles: np.ndarray, cut: float) -> np.ndarray:
    """`FEATURES` of each tile, uint8 `[n, h, w, 3]` → float32 `[n, 10]`; all are 0 for a tile without nuclei.

    Args:
        cut: the `threshold` of the training tiles.
    """
    from skimage.measure import label, regionprops_table

    density = haematoxylin(tiles)
    measured = ("area", "perimeter", "eccentricity", "solidity", "axis_major_length", "axis_minor_length")
    features = np.zeros((len(tiles), len(FEATURES)), np.float32)
    side = tiles.shape[1]
    unit = np.array([side**2, side, 1, 1, side, side])
    for row, tile in zip(features, density, strict=True):
        regions = label(tile > cut)
        size = np.bincount(regions.ravel())
        size[0] = 0
        kept = size >= SMALLEST
        if not kept.any():
            continue
        regions = np.where(kept[regions], regions, 0)
        table = regionprops_table(regions, tile, properties=measured)
        nuclear = tile[regions > 0]
        row[0], row[1] = kept.sum(), len(nuclear) / tile.size
        row[2:8] = np.mean([table[name] for name in measured], axis=1) / unit
        row[8], row[9] = nuclear.mean(), nuclear.std()
    return features
