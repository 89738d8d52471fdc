"""A slide ready for sampling: expression, neighbours and their places, tiles of each spot and of its niche."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmark.data.normalisation import lognorm, stated_size
from benchmark.data.tiles import View, cut, has_image, no_image, tiles

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

MOST_NEIGHBOURS = 32  # that a window gives, the nearest
CLUMP = 8  # spots that are drawn together, since they share their neighbours
NICHE_SIDE = 3.0  # of a niche's image, in sides of a spot's, where no window says it
TISSUE_SIDE = 4.0  # of a tissue as a unit of its own, in sides of a niche


@dataclass(frozen=True)
class Surroundings:
    """What is taken of a slide beside its counts.

    Attributes:
        k: nearest neighbours, or those within a square `window` of so many µm.
        view: of a spot's tile; None: no images. `niche`: whether its niche has an image too.
        declared: whether a slide without an image is one whose spots are unseen, and no error.
        mixed: whether the niche and the tissue around each spot, their counts summed and their image one tile, are
            units beside it, as in the authors' public code.
        shuffle_images: the control: the tiles of each slide change spots.
        shuffle_neighbours: the control: the spots of each slide change places, so that each has the neighbours, the
            niche's image and the place in the tissue of another.
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
        return View(self.window or NICHE_SIDE * self.view.microns, self.view.pixels)


@dataclass(frozen=True)
class Section:
    """One slide.

    Attributes:
        values: log1p of counts per 10,000, CSR float32 `[n_spots, n_genes]`.
        depth: log1p of a spot's counts, float32 `[n_spots, 1]`.
        place: (y, x) from 0 along the slide's longer side to 1, float32 `[n_spots, 2]`.
        near, offset, there: neighbours `[n_spots, k]`, (y, x) to them in pitches `[n_spots, k, 2]`, which there are.
        tile, niche_tile: uint8 `[n_spots, p, p, 3]`, perhaps memory-mapped; None: there is no image.
        clump: each spot and its nearest others, those first, `[n_spots, CLUMP]`.
        shown, niche_shown: the spots whose tile and niche's tile each shows, `[n_spots]`: itself, unless shuffled.
        first: index of its first spot in the corpus.
    """

    values: sp.csr_matrix
    depth: np.ndarray
    place: np.ndarray
    near: np.ndarray
    offset: np.ndarray
    there: np.ndarray
    clump: np.ndarray
    tile: np.ndarray | None
    niche_tile: np.ndarray | None
    shown: np.ndarray
    niche_shown: np.ndarray
    first: int

    @property
    def n_spots(self) -> int:
        return len(self.depth)


@lru_cache(maxsize=4)
def sections(corpus: Corpus, around: Surroundings) -> tuple[Section, ...]:
    """Every slide of the corpus, with the tiles that lie beside it on disk."""
    found, first = [], 0
    for name in corpus.names:
        slide = corpus[name]
        found.append(section(slide, around, lambda view, name=name: tiles(corpus, name, view), first))
        first += slide.n_obs
    if around.mixed:
        for view in (around.niche_view, replace(around.niche_view, microns=TISSUE_SIDE * around.niche_view.microns)):
            larger = replace(around, view=view, mixed=False)
            for name in corpus.names:
                slide = pooled(corpus[name], view.microns)
                found.append(section(slide, larger, lambda view, name=name: tiles(corpus, name, view), first))
                first += slide.n_obs
    return tuple(found)


def pooled(slide: ad.AnnData, microns: float) -> ad.AnnData:
    """The slide with the counts of each spot summed over the square of that side around it."""
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
    """The slide, its tiles cut anew unless `tiles_at` has them.

    Counts are taken as shares of `obs["library_size"]` where a slide that lacks the counts of some genes states it.

    Raises:
        UnitBenchError: there is no image, and its absence is not declared; or the image is no image of this slide.
    """
    tiles_at = tiles_at or (lambda view: cut(slide, view))
    check_image(slide, around)
    seen = around.view is not None and has_image(slide)
    rng, itself = np.random.default_rng(slide.n_obs), np.arange(slide.n_obs)
    shown = rng.permutation(slide.n_obs) if around.shuffle_images else itself
    moved = rng.permutation(slide.n_obs) if around.shuffle_neighbours else itself
    position = np.asarray(slide.obsm["position"], np.float32)[moved]
    window = around.window and around.window / slide.uns["lattice"]["pitch"]
    near, there = neighbours(position, around.k, window)
    offset = (position[near] - position[:, None]) * there[..., None]
    low, high = position.min(axis=0), position.max(axis=0)
    size = stated_size(slide)
    return Section(
        values=lognorm(slide.X, size=size),
        depth=np.log1p(size).astype(np.float32)[:, None],
        place=(position - low) / max(float((high - low).max()), 1.0),
        near=near,
        offset=offset,
        there=there,
        clump=np.concatenate([itself[:, None], neighbours(position, CLUMP - 1, None)[0]], axis=1),
        tile=tiles_at(around.view) if seen else None,
        niche_tile=tiles_at(around.niche_view) if seen and around.niche else None,
        shown=shown,
        niche_shown=moved if around.shuffle_neighbours else shown,
        first=first,
    )


def check_image(slide: ad.AnnData, around: Surroundings) -> None:
    """Raises UnitBenchError: the slide has no image, where one is read and its absence is not declared."""
    if around.view is not None and not around.declared and not has_image(slide):
        raise no_image(slide.uns["slide"], 'leave the slide out, or set absent_image to "declared"')


def neighbours(position: np.ndarray, k: int, window: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Of each spot, the `k` nearest others, or the nearest of those within a square of side `window` around it.

    Args:
        position: `[n_spots, 2]`, in the unit of `window`.

    Returns:
        Indices `[n_spots, k]`, the spot itself where there is none; and which there are.
    """
    n_spots = len(position)
    most = min(k if window is None else MOST_NEIGHBOURS, n_spots - 1)
    reach = {} if window is None else {"p": np.inf, "distance_upper_bound": window / 2 * (1 + 1e-6)}
    found = cKDTree(position).query(position, k=most + 1, **reach)[1].reshape(n_spots, -1)
    itself = np.arange(n_spots)[:, None]
    there = (found < n_spots) & (found != itself)
    kept = np.argsort(~there, axis=1, kind="stable")[:, :most]
    near, there = (np.take_along_axis(array, kept, axis=1) for array in (found, there))
    width = most if window is None else max(int(there.sum(axis=1).max()), 1)
    return np.where(there, near, itself)[:, :width], there[:, :width]
