"""A slide ready for sampling: expression, neighbours with their positions, and tiles of each spot and of its niche."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmark.data.normalisation import normalised, sizes
from benchmark.data.tiles import View, cut, has_image, no_image, tiles

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

MOST_NEIGHBOURS = 32  # in a window; the nearest ones are kept
CLUMP = 8  # spots that are drawn together, since they share neighbours
NICHE_SIDE = 3.0  # of a niche's image where there is no window, in sides of a spot's tile
TISSUE_SIDE = 4.0  # of a tissue that is a unit itself, in sides of a niche


@dataclass(frozen=True)
class Surroundings:
    """What is read of a slide in addition to its counts.

    Attributes:
        k: number of nearest neighbours.
        window: side of a square in µm whose spots are the neighbours, in place of `k`; None: no window.
        view: field of view of a spot's tile; None: no images.
        niche: whether a spot's niche has an image too.
        declared: whether a slide may lack an image, so that its spots are unseen; else this is an error.
        mixed: whether the niche and the tissue around each spot are units too, as in the authors' public code. Their
            counts are summed, and their image is one tile.
        shuffle_images: control: the tiles of each slide change spots.
        shuffle_neighbours: control: the spots of each slide change places. Each then has the neighbours, the niche's
            image and the position in the tissue of another spot.
    """

    k: int = 8
    window: float | None = None
    view: View | None = None
    niche: bool = False
    declared: bool = False
    mixed: bool = False
    shuffle_images: bool = False
    shuffle_neighbours: bool = False

    @property
    def niche_view(self) -> View:
        """Field of view of a niche's image."""
        return View(self.window or NICHE_SIDE * self.view.microns, self.view.pixels)


@dataclass(frozen=True)
class Section:
    """One slide.

    Attributes:
        values: log1p of counts per 10,000, CSR float32 `[n_spots, n_genes]`.
        depth: log1p of a spot's counts, float32 `[n_spots, 1]`.
        position: (y, x) in the slide, from 0 to 1 along its longer side, float32 `[n_spots, 2]`.
        near: neighbours, `[n_spots, k]`.
        offset: (y, x) to the neighbours in pitches, `[n_spots, k, 2]`.
        near_valid: which neighbours are no padding, `[n_spots, k]`.
        clump: each spot and then its nearest spots, `[n_spots, CLUMP]`.
        tile, niche_tile: uint8 `[n_spots, p, p, 3]`, may be memory-mapped; None: there is no image.
        shown, niche_shown: the spot whose tile, and whose niche's tile, each spot shows, `[n_spots]`. It is the spot
            itself, unless they are shuffled.
        first: index of the slide's first spot in the corpus.
    """

    values: sp.csr_matrix
    depth: np.ndarray
    position: np.ndarray
    near: np.ndarray
    offset: np.ndarray
    near_valid: np.ndarray
    clump: np.ndarray
    tile: np.ndarray | None
    niche_tile: np.ndarray | None
    shown: np.ndarray
    niche_shown: np.ndarray
    first: int

    @property
    def n_spots(self) -> int:
        """Spots of the slide."""
        return len(self.depth)


@lru_cache(maxsize=4)
def sections(corpus: Corpus, around: Surroundings) -> tuple[Section, ...]:
    """Every slide of the corpus, with its tiles from disk. Where units are mixed, its niches and its tissues follow."""
    units, first = [], 0
    for name in corpus.names:
        slide = corpus[name]
        units.append(section(slide, around, lambda view, name=name: tiles(corpus, name, view), first))
        first += slide.n_obs
    if around.mixed:
        for view in (around.niche_view, replace(around.niche_view, microns=TISSUE_SIDE * around.niche_view.microns)):
            larger = replace(around, view=view, mixed=False)
            for name in corpus.names:
                slide = pooled(corpus[name], view.microns)
                units.append(section(slide, larger, lambda view, name=name: tiles(corpus, name, view), first))
                first += slide.n_obs
    return tuple(units)


def pooled(slide: ad.AnnData, microns: float) -> ad.AnnData:
    """The slide with counts that are summed over a square around each spot; `microns`: side of the square."""
    n_spots, reach = slide.n_obs, microns / slide.uns["lattice"]["pitch"] / 2 * (1 + 1e-6)
    pairs = cKDTree(slide.obsm["position"]).query_pairs(reach, p=np.inf, output_type="ndarray")
    near = sp.coo_array((np.ones(len(pairs), np.float32), pairs.T), shape=(n_spots, n_spots)).tocsr()
    slide = slide.copy()
    slide.X = sp.csr_matrix((near + near.T + sp.eye_array(n_spots, dtype=np.float32)) @ slide.X)
    return slide


def section(
    slide: ad.AnnData,
    around: Surroundings,
    tiles_at: Callable[[View], np.ndarray] | None = None,
    first: int = 0,
) -> Section:
    """The slide, ready for sampling.

    Args:
        tiles_at: gives the tiles of a view; None: they are cut anew.
        first: index of the slide's first spot in the corpus.

    Raises:
        UnitBenchError: there is no image, and its absence is not declared; or the image does not belong to this slide.
    """
    tiles_at = tiles_at or (lambda view: cut(slide, view))
    check_image(slide, around)
    seen = around.view is not None and has_image(slide)
    rng, itself = np.random.default_rng(slide.n_obs), np.arange(slide.n_obs)
    shown = rng.permutation(slide.n_obs) if around.shuffle_images else itself
    moved = rng.permutation(slide.n_obs) if around.shuffle_neighbours else itself
    position = np.asarray(slide.obsm["position"], np.float32)[moved]
    window = around.window and around.window / slide.uns["lattice"]["pitch"]
    near, near_valid = neighbours(position, around.k, window)
    offset = (position[near] - position[:, None]) * near_valid[..., None]
    low, high = position.min(axis=0), position.max(axis=0)
    return Section(
        values=normalised(slide),
        depth=np.log1p(sizes(slide))[:, None],
        position=(position - low) / max(float((high - low).max()), 1.0),
        near=near,
        offset=offset,
        near_valid=near_valid,
        clump=np.concatenate([itself[:, None], neighbours(position, CLUMP - 1, None)[0]], axis=1),
        tile=tiles_at(around.view) if seen else None,
        niche_tile=tiles_at(around.niche_view) if seen and around.niche else None,
        shown=shown,
        niche_shown=moved if around.shuffle_neighbours else shown,
        first=first,
    )


def check_image(slide: ad.AnnData, around: Surroundings) -> None:
    """Raises UnitBenchError: an image is read, the slide has none, and its absence is not declared."""
    if around.view is not None and not around.declared and not has_image(slide):
        raise no_image(slide.uns["slide"], 'leave the slide out, or set absent_image to "declared"')


def neighbours(position: np.ndarray, k: int, window: float | None) -> tuple[np.ndarray, np.ndarray]:
    """The `k` nearest other spots of each spot, or the nearest ones in a square of side `window` around it.

    Args:
        position: `[n_spots, 2]`, in the unit of `window`.

    Returns:
        Their indices, padded with the spot itself, and which are no padding; `[n_spots, k]` each.
    """
    n_spots = len(position)
    most = min(k if window is None else MOST_NEIGHBOURS, n_spots - 1)
    reach = {} if window is None else {"p": np.inf, "distance_upper_bound": window / 2 * (1 + 1e-6)}
    near = cKDTree(position).query(position, k=most + 1, **reach)[1].reshape(n_spots, -1)
    itself = np.arange(n_spots)[:, None]
    valid = (near < n_spots) & (near != itself)
    kept = np.argsort(~valid, axis=1, kind="stable")[:, :most]
    near, valid = (np.take_along_axis(array, kept, axis=1) for array in (near, valid))
    width = most if window is None else max(int(valid.sum(axis=1).max()), 1)
    return np.where(valid, near, itself)[:, :width], valid[:, :width]
