"""Which spots of a slide are hidden for reconstruction, and the slide without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    import anndata as ad

FULL = 0.8  # a square counts as full that holds this share of what the fullest one holds
LEFT = 1 / 3  # what a hole must leave visible of its window: tissue is uneven, and a full grid of 20 keeps 51% at 14


def holes(position: np.ndarray, size: float, share: float, seed: int) -> np.ndarray:
    """Which spots, bool `[n_spots]`, lie in random squares of `size` × `size` pitches that do not overlap.

    A square begins half a pitch before a spot and holds at least 80% of the spots of the densest one. Squares are taken
    until `share` of the spots is hidden or none fits, and never hide more than half: a small slide may have no hole.

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

    Both are at least 80% as full as the fullest of their size on the slide, and at least a third of the window's spots
    lie outside the hole. A window may reach beyond the tissue, or the slide: it then shows what there is.

    Args:
        position: (y, x) in pitches, `[n_spots, 2]`.

    Returns:
        The spots of the window and those of its hole, bool `[n_spots]` each; none at all where no window is such.
    """
    from scipy.spatial import cKDTree

    position = position.astype(np.float64)
    # A quarter of a pitch off a spot: no row or column of a lattice lies on an edge, so full squares are equally full.
    centre = position - 0.25
    tree = cKDTree(position)
    n_window, n_hole = (
        tree.query_ball_point(centre, width / 2, p=np.inf, return_length=True) for width in (side, hole)
    )
    fits = (n_window >= FULL * n_window.max()) & (n_hole >= FULL * n_hole.max()) & (n_hole > 0)
    fits = np.flatnonzero(fits & (n_window - n_hole >= LEFT * n_window))
    if not len(fits):
        return np.zeros((2, len(position)), dtype=bool)
    away = np.abs(position - centre[np.random.default_rng(seed).choice(fits)]).max(axis=1)
    return away <= side / 2, away <= hole / 2


def blinded(slide: ad.AnnData, shown: np.ndarray, hidden: np.ndarray) -> ad.AnnData:
    """A copy of the slide with its `shown` spots alone, without the counts of the `hidden` ones; bool `[n_spots]`."""
    copy = slide[shown].copy()
    copy.X = sp.csr_matrix(sp.diags_array((~hidden[shown]).astype(np.float32)) @ copy.X)
    copy.X.eliminate_zeros()
    return copy
