"""SPATIA's samples: spots of a few slides with some genes hidden, among their neighbours, drawn by index arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from benchmark.data.gene_selection import draw_weighted, moments, top_variance
from benchmark.units.batch import padded
from benchmark.units.spot import rows
from methods.spatia.batch import Batch
from methods.spatia.presets import Design, Size
from methods.spatia.sections import Section, Surroundings, sections

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

HIDDEN = (0.1, 0.75)  # share of all genes that a target hides, at least and at most
QUERIES = 64  # hidden genes that a target is asked for
CONTEXT_MULTIPLE = 64  # spots of context are padded to a multiple, so that few shapes occur


@dataclass(frozen=True)
class SpatiaUnit:
    """`size.sections` slides a step and `size.targets` spots of each, in clumps.

    A target hides a random share of all genes, zeros among them, and they are left out of every array that is read,
    its neighbours' included; so a spot that lies in another's niche shows it no more than it shows itself.
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
        return self.size.sections * self.size.targets

    def fit(self, corpus: Corpus) -> SpatiaUnit:
        """With the genes in the order that they are shown by when a slide is embedded."""
        rank = np.empty(len(corpus.genes))
        rank[top_variance(corpus, len(rank))] = np.arange(len(rank))
        return replace(self, variance=np.maximum(moments(corpus)[1], 1e-10), rank=rank)

    def tokens_per_sample(self, corpus: Corpus) -> float:
        sections(corpus, self.around)  # before the clock runs
        return float(self.size.n_tokens)

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """One step: `n` targets or as many as the smallest slide has; none twice, since each hides its own genes."""
        slides, matrix = sections(corpus, self.around), by_spot(corpus, self.around)
        n_spots = np.array([its.n_spots for its in slides])
        drawn = rng.choice(len(slides), min(self.size.sections, len(slides)), replace=False, p=n_spots / n_spots.sum())
        each = min(n // len(drawn), n_spots.min())
        chosen = [slides[number] for number in drawn]
        local = [_clumps(its, each, rng) for its in chosen]
        target = np.concatenate([its.first + spots for its, spots in zip(chosen, local, strict=True)])
        spots, found = target, {"target": target, "spot": target % corpus.n_spots}
        if self.design.niche:
            spots, found["near"] = _with_context(target, self._each(chosen, local, _neighbours))
            found["offset"] = self._each(chosen, local, lambda its, s: its.offset[s])
            found["near_there"] = self._each(chosen, local, lambda its, s: its.there[s])
        if self.design.tissue:
            found["place"] = np.stack([its.place[s] for its, s in zip(chosen, local, strict=True)])
        if self.design.gene:
            hidden = rng.random((len(target), matrix.shape[1])) < rng.uniform(*HIDDEN, size=(len(target), 1))
            found |= self._asked(matrix, target, hidden, rng) | self._shown(matrix, slides, spots, hidden, rng)
        if self.design.image:
            found["tile"], found["seen"] = pictures(slides, spots if self.design.niche_image else target, self.size)
        if self.design.niche_image:
            found["niche_tile"], found["niche_seen"] = pictures(slides, target, self.size, niche=True)
        return Batch(**found)

    @staticmethod
    def _each(chosen: list[Section], local: list[np.ndarray], what) -> np.ndarray:
        """`what(section, spots)` of every slide, one below the other, filled up to the most neighbours."""
        parts = [what(its, spots) for its, spots in zip(chosen, local, strict=True)]
        width = max(part.shape[1] for part in parts)
        return np.concatenate(
            [np.pad(part, [(0, 0), (0, width - part.shape[1])] + [(0, 0)] * (part.ndim - 2)) for part in parts]
        )

    def _shown(self, matrix, slides, spots, hidden, rng) -> dict[str, np.ndarray]:
        """Tokens of spots `[n]`, the first of which hide genes; -1 is padding, which shows none."""
        off = spots < 0
        hide = np.zeros((len(spots), matrix.shape[1]), bool)
        hide[: len(hidden)] = hidden
        hide[off] = True
        depth = np.concatenate([its.depth for its in slides])[spots] * ~off[:, None]
        return tokens(matrix, np.maximum(spots, 0), self.size.n_tokens, hide, self.variance, rng) | {"depth": depth}

    def _asked(self, matrix, target, hidden, rng) -> dict[str, np.ndarray]:
        """Some of each target's hidden genes, by their variance, and their values."""
        query = draw_weighted(self.variance * hidden, min(QUERIES, matrix.shape[1]), rng)
        wanted = np.take_along_axis(matrix[target].toarray(), query, axis=1)
        return {"query": query, "wanted": wanted, "asked": np.take_along_axis(hidden, query, axis=1)}


def _clumps(its: Section, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` spots, random ones and those around each, none twice: they share more of their neighbours than any `n` do."""
    spots = its.clump[rng.permutation(its.n_spots)].ravel()
    return spots[np.sort(np.unique(spots, return_index=True)[1])][:n]


def _neighbours(its: Section, spots: np.ndarray) -> np.ndarray:
    return its.first + its.near[spots]


def _with_context(target: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The spots of a step, each once, targets first, then padding of -1; and the row of each neighbour among them."""
    rest = np.setdiff1d(near, target)
    spots = np.full(len(target) + -(-len(rest) // CONTEXT_MULTIPLE) * CONTEXT_MULTIPLE, -1)
    spots[: len(target)], spots[len(target) : len(target) + len(rest)] = target, rest
    used = spots[: len(target) + len(rest)]
    order = np.argsort(used, kind="stable")
    return spots, order[np.searchsorted(used[order], near)]


def tokens(matrix, spots, n_tokens: int, hide, weight: np.ndarray, rng) -> dict[str, np.ndarray]:
    """Up to `n_tokens` of the non-zero genes of spots `[n]` that they do not `hide` `[n, n_genes]`.

    Of more, a random part is drawn by `weight` `[n_genes]`; without `rng` those of the least weight are taken. What is
    drawn depends on visible genes alone.
    """
    values, genes, there = rows(matrix, spots)
    if hide is not None:
        there &= ~np.take_along_axis(hide, genes, axis=1)
        values, genes, there = _first(values, genes, there)
    if genes.shape[1] > n_tokens:
        clock = weight[genes] if rng is None else rng.standard_exponential(genes.shape, np.float32) / weight[genes]
        kept = np.argpartition(np.where(there, clock, np.inf), n_tokens - 1, axis=1)[:, :n_tokens]
        values, genes, there = (np.take_along_axis(array, kept, axis=1) for array in (values, genes, there))
    values, genes, there = _first(values, genes, there)
    return {"values": values * there, "genes": genes * there, "there": there}


def _first(values: np.ndarray, genes: np.ndarray, there: np.ndarray) -> list[np.ndarray]:
    """`[n, t]` each, those that are there moved to the front, and the columns that are then empty cut off."""
    t = padded(max(int(there.sum(axis=1).max()), 1))
    order = np.argsort(~there, axis=1, kind="stable")[:, :t]
    return [np.take_along_axis(array, order, axis=1) for array in (values, genes, there)]


def pictures(
    slides: tuple[Section, ...], spots: np.ndarray, size: Size, niche: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of spots `[n]` of the corpus, or of their niches, uint8 `[n, p, p, 3]`, and which have an image."""
    tile = np.zeros((len(spots), size.pixels, size.pixels, 3), np.uint8)
    seen = np.zeros(len(spots), bool)
    slide = np.searchsorted([its.first for its in slides], spots, side="right") - 1
    for number in np.unique(slide[spots >= 0]):
        its, mine = slides[number], slide == number
        source = its.niche_tile if niche else its.tile
        if source is not None:
            shown = (its.niche_shown if niche else its.shown)[spots[mine] - its.first]
            order = np.argsort(shown)  # a memory-mapped file is read from front to back
            tile[np.flatnonzero(mine)[order]], seen[mine] = source[shown[order]], True
    return tile, seen


@lru_cache(maxsize=4)
def by_spot(corpus: Corpus, around: Surroundings) -> sp.csr_matrix:
    """All spots of the corpus, CSR `[n_spots, n_genes]`."""
    return sp.vstack([its.values for its in sections(corpus, around)], format="csr")
