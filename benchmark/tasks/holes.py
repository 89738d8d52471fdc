"""The spots of a slide that are hidden for reconstruction, and the slide without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    import anndata as ad

FULL = 0.8  # a square is full if it has this share of the spots of the fullest one
LEFT = 1 / 3  # share of a window that its hole must leave visible; a hole of 14 in a full window of 20 leaves 51%


def holes(position: np.ndarray, size: float, share: float, seed: int) -> np.ndarray:
    """Which spots, bool `[n_spots]`, lie in random squares of `size` × `size` pitches that do not overlap.

    A square begins half a pitch before a spot and has at least 80% of the spots of the fullest one. Squares are added
    until `share` of the spots is hidden or no other fits. They never hide more than half of the spots, so a small slide
    may have no hole.

    Args:
        position: (y, x) in pitches, `[n_spots, 2]`.
    """
    from scipy.spatial import cKDTree  # slow to import, and tables are made without it

    position = position.astype(np.float64)
    centre = position + (size - 1) / 2
    inside = cKDTree(position).query_ball_point(centre, size / 2, p=np.inf, return_length=True)
    left = np.random.default_rng(seed).permutation(np.flatnonzero(inside >= FULL * inside.max()))
    hidden = np.zeros(len(position), dtype=bool)
    while len(left) and hidden.sum() < share * len(position):
        here = centre[left[0]]
        wider = hidden | (np.abs(position - here).max(axis=1) <= size / 2)
        if wider.sum() <= len(position) / 2:
            hidden = wider
            left = left[np.abs(centre[left] - here).max(axis=1) >= size]
        else:
            left = left[1:]
    return hidden


def window(position: np.ndarray, side: float, hole: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One random square of `side` × `side` pitches with a hole of `hole` × `hole` in its middle.

    Both have at least 80% of the spots of the fullest square of their size on the slide. At least a third of the
    window's spots lie outside the hole. A window may reach beyond the tissue, or beyond the slide.

    Args:
        position: (y, x) in pitches, `[n_spots, 2]`.

    Returns:
        The spots of the window and those of its hole, bool `[n_spots]` each; both empty if there is no such window.
    """
    from scipy.spatial import cKDTree

    position = position.astype(np.float64)
    # A quarter of a pitch off a spot: no row or column lies on an edge, so full squares have equal numbers of spots.
    centre = position - 0.25
    tree = cKDTree(position)
    n_window, n_hole = (
        tree.query_ball_point(centre, width / 2, p=np.inf, return_length=True) for width in (side, hole)
    )
    fits = (n_window >= FULL * n_window.max()) & (n_hole >= FULL * n_hole.max()) & (n_hole > 0)
    fits = np.flatnonzero(fits & (n_window - n_hole >= LEFT * n_window))
    if not len(fits):
        return np.zeros(len(position), dtype=bool), np.zeros(len(position), dtype=bool)
    away = np.abs(position - centre[np.random.default_rng(seed).choice(fits)]).max(axis=1)
    return away <= side / 2, away <= hole / 2


def blinded(slide: ad.AnnData, shown: np.ndarray, hidden: np.ndarray) -> ad.AnnData:
    """A copy of the slide with the `shown` spots only, without counts in the `hidden` ones; bool `[n_spots]` both."""
    copy = slide[shown].copy()
    copy.X = sp.csr_matrix(sp.diags_array((~hidden[shown]).astype(np.float32)) @ copy.X)
    copy.X.eliminate_zeros()
    if "library_size" in copy.obs:
        copy.obs.loc[hidden[shown], "library_size"] = 0
    return copy
