"""SPATIA's samples: spots of a few slides, with some genes hidden, among their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from benchmark.data.gene_selection import draw_weighted, moments, ranked_by_variance
from benchmark.data.normalisation import lognorm
from benchmark.units.batch import padded
from benchmark.units.spot import rows
from methods.spatia.batch import Batch
from methods.spatia.presets import Design, Size
from methods.spatia.sections import Section, Surroundings, sections

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

HIDDEN = (0.1, 0.75)  # least and greatest share of all genes that a target hides
QUERIES = 64  # hidden genes that a step asks of a target
CONTEXT_MULTIPLE = 64  # the context is padded to a multiple of so many spots, so that few shapes occur


@dataclass(frozen=True)
class SpatiaUnit:
    """A step takes `size.sections` slides and `size.targets` spots of each, in clumps.

    A target hides a random share of all genes, also of those with no counts. Its hidden genes are left out of every
    array that is read, and of its library size, also where the target is a neighbour of another spot. So a spot shows
    no more to its neighbours than it shows for itself.

    Attributes:
        size: sizes of the parts.
        design: the parts of the arm.
        around: what is read of a slide in addition to its counts.
        variance: variance of each gene over the training slides, from `fit`, `[n_genes]`.
        rank: rank of each gene when a slide is embedded, from `fit`, `[n_genes]`.
    """

    size: Size
    design: Design
    around: Surroundings
    variance: np.ndarray | None = field(default=None, compare=False, repr=False)
    rank: np.ndarray | None = field(default=None, compare=False, repr=False)

    name = "spot"
    at_once = 1

    @property
    def samples_per_step(self) -> int:
        """Targets of a step."""
        return self.size.sections * self.size.targets

    def fit(self, corpus: Corpus) -> SpatiaUnit:
        """The unit with the variance and the rank of each gene."""
        rank = np.empty(len(corpus.genes))
        rank[ranked_by_variance(corpus)] = np.arange(len(rank))
        return replace(self, variance=np.maximum(moments(corpus)[1], 1e-10), rank=rank)

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Genes that a spot shows, at most."""
        sections(corpus, self.around)  # prepares the corpus before the clock runs
        return float(self.size.n_tokens)

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """One step of `n` targets, or fewer where a slide is small.

        No spot is drawn twice, since each target hides genes of its own.
        """
        slides, matrix = sections(corpus, self.around), by_spot(corpus, self.around)
        n_spots = np.array([slide.n_spots for slide in slides])
        drawn = rng.choice(len(slides), min(self.size.sections, len(slides)), replace=False, p=n_spots / n_spots.sum())
        each = min(n // len(drawn), n_spots.min())
        chosen = [slides[number] for number in drawn]
        local = [_clumps(slide, each, rng) for slide in chosen]
        target = np.concatenate([slide.first + spots for slide, spots in zip(chosen, local, strict=True)])
        spots, arrays = target, {"target": target, "spot": target % corpus.n_spots}
        if self.design.niche:
            spots, arrays["near"] = _with_context(target, self._each(chosen, local, _neighbours))
            arrays["offset"] = self._each(chosen, local, lambda slide, spots: slide.offset[spots])
            arrays["near_valid"] = self._each(chosen, local, lambda slide, spots: slide.near_valid[spots])
        if self.design.tissue:
            arrays["position"] = np.stack([slide.position[s] for slide, s in zip(chosen, local, strict=True)])
        if self.design.gene:
            hidden = rng.random((len(target), matrix.shape[1])) < rng.uniform(*HIDDEN, size=(len(target), 1))
            arrays |= self._asked(matrix, target, hidden, rng) | self._shown(matrix, slides, spots, hidden, rng)
        if self.design.image:
            arrays["tile"], arrays["seen"] = pictures(slides, spots if self.design.niche_image else target, self.size)
        if self.design.niche_image:
            arrays["niche_tile"], arrays["niche_seen"] = pictures(slides, target, self.size, niche=True)
        return Batch(**arrays)

    @staticmethod
    def _each(
        chosen: list[Section], local: list[np.ndarray], take: Callable[[Section, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """`take(section, spots)` of all slides in one array, padded to the greatest number of neighbours."""
        parts = [take(slide, spots) for slide, spots in zip(chosen, local, strict=True)]
        width = max(part.shape[1] for part in parts)
        return np.concatenate(
            [np.pad(part, [(0, 0), (0, width - part.shape[1])] + [(0, 0)] * (part.ndim - 2)) for part in parts]
        )

    def _shown(self, matrix, slides, spots, hidden, rng) -> dict[str, np.ndarray]:
        """Tokens of spots `[n]`, of which the first hide genes. A spot of -1 is padding and shows no genes."""
        off = spots < 0
        depth = np.concatenate([slide.depth for slide in slides])[spots] * ~off[:, None]
        own, depth[: len(hidden)] = visible(matrix[spots[: len(hidden)]], depth[: len(hidden)], hidden)
        matrix = sp.vstack([own, matrix[np.maximum(spots[len(hidden) :], 0)]], format="csr")
        hide = np.broadcast_to(off[:, None], matrix.shape)
        return tokens(matrix, np.arange(len(spots)), self.size.n_tokens, hide, self.variance, rng) | {"depth": depth}

    def _asked(self, matrix, target, hidden, rng) -> dict[str, np.ndarray]:
        """Some of each target's hidden genes, drawn by their variance, and their values."""
        query = draw_weighted(self.variance * hidden, min(QUERIES, matrix.shape[1]), rng)
        wanted = np.take_along_axis(matrix[target].toarray(), query, axis=1)
        return {"query": query, "wanted": wanted, "asked": np.take_along_axis(hidden, query, axis=1)}


def visible(values: sp.csr_matrix, depth: np.ndarray, hidden: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
    """Values and depth of spots that hide genes. Both are of the visible genes alone, as where genes are imputed.

    Args:
        values: log1p of counts per 10,000, CSR `[n, n_genes]`.
        depth: log1p of a spot's counts of all genes, `[n, 1]`.
        hidden: which genes each spot hides, bool `[n, n_genes]`.
    """
    counts = values.expm1().multiply(np.expm1(depth) / 1e4).tocsr()
    counts.data = np.rint(counts.data)  # counts are whole numbers: no rounding error tells of the hidden ones
    unseen = np.asarray(counts.multiply(hidden).sum(axis=1)).reshape(-1, 1)
    size = np.maximum(np.rint(np.expm1(depth)) - unseen, 1)
    counts = counts.multiply(~hidden).tocsr()
    counts.eliminate_zeros()
    return lognorm(counts, size.ravel().astype(np.float32)), np.log1p(size)


def _clumps(slide: Section, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different spots: random ones, each with the spots around it. They share more neighbours than random spots."""
    spots = slide.clump[rng.permutation(slide.n_spots)].ravel()
    return spots[np.sort(np.unique(spots, return_index=True)[1])][:n]


def _neighbours(slide: Section, spots: np.ndarray) -> np.ndarray:
    """Neighbours of some spots, as indices in the corpus, `[n, k]`."""
    return slide.first + slide.near[spots]


def _with_context(target: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All spots of a step, each once: targets, then context, then padding of -1; and the row of each neighbour."""
    rest = np.setdiff1d(near, target)
    spots = np.full(len(target) + -(-len(rest) // CONTEXT_MULTIPLE) * CONTEXT_MULTIPLE, -1)
    spots[: len(target)], spots[len(target) : len(target) + len(rest)] = target, rest
    used = spots[: len(target) + len(rest)]
    order = np.argsort(used, kind="stable")
    return spots, order[np.searchsorted(used[order], near)]


def tokens(matrix, spots, n_tokens: int, hide, weight: np.ndarray, rng) -> dict[str, np.ndarray]:
    """Up to `n_tokens` of the non-zero genes of spots that the spots do not hide.

    What is drawn depends on visible genes alone.

    Args:
        matrix: log1p of counts per 10,000, CSR `[n_spots, n_genes]`.
        spots: `[n]`.
        hide: which genes each spot hides, bool `[n, n_genes]`; None: none.
        weight: of each gene, `[n_genes]`.
        rng: draws genes by their weight; None: the genes of the least weight are taken.

    Returns:
        `values`, `genes` and `valid`, which are no padding; `[n, t]` each.
    """
    values, genes, valid = rows(matrix[spots])
    if hide is not None:
        valid &= ~np.take_along_axis(hide, genes, axis=1)
        values, genes, valid = _first(values, genes, valid)
    if genes.shape[1] > n_tokens:
        clock = weight[genes] if rng is None else rng.standard_exponential(genes.shape, np.float32) / weight[genes]
        kept = np.argpartition(np.where(valid, clock, np.inf), n_tokens - 1, axis=1)[:, :n_tokens]
        values, genes, valid = (np.take_along_axis(array, kept, axis=1) for array in (values, genes, valid))
    values, genes, valid = _first(values, genes, valid)
    return {"values": values * valid, "genes": genes * valid, "valid": valid}


def _first(values: np.ndarray, genes: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
    """`[n, t]` each, with the valid entries moved to the front and the empty columns cut off."""
    t = padded(max(int(valid.sum(axis=1).max()), 1))
    order = np.argsort(~valid, axis=1, kind="stable")[:, :t]
    return [np.take_along_axis(array, order, axis=1) for array in (values, genes, valid)]


def pictures(
    slides: tuple[Section, ...], spots: np.ndarray, size: Size, niche: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of spots `[n]` of the corpus, or of their niches, uint8 `[n, p, p, 3]`, and which have an image, `[n]`."""
    tile = np.zeros((len(spots), size.pixels, size.pixels, 3), np.uint8)
    seen = np.zeros(len(spots), bool)
    slide_of = np.searchsorted([slide.first for slide in slides], spots, side="right") - 1
    for number in np.unique(slide_of[spots >= 0]):
        slide, in_slide = slides[number], slide_of == number
        source = slide.niche_tile if niche else slide.tile
        if source is not None:
            shown = (slide.niche_shown if niche else slide.shown)[spots[in_slide] - slide.first]
            order = np.argsort(shown)  # a memory-mapped file is read from front to back
            tile[np.flatnonzero(in_slide)[order]], seen[in_slide] = source[shown[order]], True
    return tile, seen


@lru_cache(maxsize=4)
def by_spot(corpus: Corpus, around: Surroundings) -> sp.csr_matrix:
    """log1p of counts per 10,000 of all spots of the corpus, CSR `[n_spots, n_genes]`."""
    return sp.vstack([slide.values for slide in sections(corpus, around)], format="csr")
