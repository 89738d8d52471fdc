"""scGPT's samples: spots as their genes and bins, shuffled, or a window of neighbouring spots at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from baselines.scgpt.tokens import binned, rows, subset, uniform
from benchmark.core.errors import UnitBenchError
from benchmark.units.batch import Batch, padded

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class ScGPTUnit:
    """Up to `n_tokens` of a spot's non-zero genes, a random subset drawn anew each time, each with its bin.

    Bins are among all of a spot's known genes, before the subset is drawn, as in the official collator.

    Attributes:
        batch_size: spots a step.
        window: 0: the spots of a step are drawn from all slides; else a step takes so many spots of one slide, those
            nearest to a random one, in place of `batch_size`.
        gene_mean: whether counts are divided by their gene's mean non-zero count, found by `fit`, before they are
            binned; a gene that no training slide shows is divided by its mean in the slide that is embedded.
        shuffle_coordinates: the negative control: the spots of each slide change places before windows are drawn.
        token: of each gene of the corpus in the vocabulary, `[n_genes]`, negative where it has none and so is left out;
            None: genes are their own tokens.
        mean: each gene's mean non-zero count, NaN where there is none, `[n_genes]`.
    """

    n_tokens: int = 256
    batch_size: int = 16
    window: int = 0
    gene_mean: bool = False
    shuffle_coordinates: bool = False
    token: np.ndarray | None = field(default=None, compare=False, repr=False)
    mean: np.ndarray | None = field(default=None, compare=False, repr=False)

    name = "spot"
    at_once = 256

    @property
    def samples_per_step(self) -> int:
        return self.window or self.batch_size

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide has fewer spots than the window."""
        n_spots = corpus.table["n_spots"]
        if n_spots.min() < self.window:
            cause = f"a window of {self.window} spots is more than slide {n_spots.idxmin()} has ({n_spots.min()})"
            raise UnitBenchError("scgpt unit", cause, "set a smaller window")

    def fit(self, corpus: Corpus) -> ScGPTUnit:
        return replace(self, mean=nonzero_mean(counts(corpus)) if self.gene_mean else None)

    def tokens_per_sample(self, corpus: Corpus) -> float:
        if self.window:
            places(corpus, self.shuffle_coordinates)  # prepared before the clock runs
        return float(np.minimum(np.diff(counts(corpus).indptr), self.n_tokens).mean())

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` spots; with windows, whole windows one after another."""
        if self.window:
            middles = rng.integers(corpus.n_spots, size=-(-n // self.window))
            spots, position = windows(places(corpus, self.shuffle_coordinates), middles, self.window)
        else:
            spots, position = rng.integers(corpus.n_spots, size=n), np.zeros((n, 2), np.float32)
        return self._batch(counts(corpus), spots[:n], position[:n], self.mean, *rng.spawn(2))

    def cover(self, slide: ad.AnnData, tokens: int) -> Iterator[Batch]:
        """Every spot of a slide in its order, its genes and ties drawn in the same way each time."""
        mean = self.mean
        if mean is not None:
            mean = np.where(np.isnan(mean), nonzero_mean(slide.X), mean)
        draws = np.random.default_rng(0).spawn(2)
        at_once = max(1, tokens // self.n_tokens)
        for i in range(0, slide.n_obs, at_once):
            spots = np.arange(i, min(i + at_once, slide.n_obs))
            yield self._batch(slide.X, spots, np.zeros((len(spots), 2), np.float32), mean, *draws)

    def _batch(
        self,
        matrix: sp.csr_matrix,
        spots: np.ndarray,
        position: np.ndarray,
        mean: np.ndarray | None,
        ties: np.random.Generator,
        clock: np.random.Generator,
    ) -> Batch:
        """Spots `[n]` at `position` `[n, 2]` as their bins."""
        found = rows(matrix, spots)
        if self.token is not None:
            found = found._replace(there=found.there & (self.token[found.genes] >= 0))
        values = found.values if mean is None else found.values / mean[found.genes]
        bins = binned(values, found.there, uniform(found.there, ties))
        found = subset(found._replace(values=bins), self.n_tokens, uniform(found.there, clock))
        t = padded(max(int(found.there.sum(axis=1).max()), 1))
        found = found._replace(**{name: _to_width(getattr(found, name), t) for name in found._fields})
        genes = found.genes if self.token is None else self.token[found.genes]
        return Batch(
            values=(found.values * found.there)[:, :, None].astype(np.float32),
            genes=(genes * found.there)[:, :, None],
            position=np.broadcast_to(position[:, None], (*found.there.shape, 2)),
            cell=np.zeros((*found.there.shape, 2), np.int64),
            valid=found.there,
            spot=np.where(found.there, spots[:, None], -1),
            read=found.there,
        )


def _to_width(array: np.ndarray, t: int) -> np.ndarray:
    """`[n, t]`: cut, or filled up with zeros."""
    return np.pad(array[:, :t], [(0, 0), (0, max(0, t - array.shape[1]))])


def nonzero_mean(matrix: sp.csr_matrix) -> np.ndarray:
    """Mean of each gene's non-zero counts, NaN where it has none, `[n_genes]`."""
    n_genes = matrix.shape[1]
    total = np.bincount(matrix.indices, matrix.data, minlength=n_genes)
    number = np.bincount(matrix.indices, matrix.data != 0, minlength=n_genes)
    return np.divide(total, number, out=np.full(n_genes, np.nan), where=number > 0)


@lru_cache(maxsize=2)
def counts(corpus: Corpus) -> sp.csr_matrix:
    """Counts of all spots of the corpus, CSR `[n_spots, n_genes]`."""
    return sp.vstack([slide.X for slide in corpus], format="csr")


class Place(NamedTuple):
    """Where the spots of one slide lie: index of the first in the corpus, (y, x) in pitches `[n_spots, 2]`, a tree."""

    offset: int
    position: np.ndarray
    tree: cKDTree


@lru_cache(maxsize=4)
def places(corpus: Corpus, shuffled: bool) -> tuple[Place, ...]:
    """Of each slide of the corpus; `shuffled`: with its positions permuted, in the same way each time."""
    found, offset = [], 0
    for number, slide in enumerate(corpus):
        position = np.asarray(slide.obsm["position"], np.float32)
        if shuffled:
            position = np.random.default_rng(number).permutation(position)
        found.append(Place(offset, position, cKDTree(position)))
        offset += slide.n_obs
    return tuple(found)


def windows(places: tuple[Place, ...], middles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The `size` spots of the same slide that lie nearest to each of these spots `[n]`, itself among them.

    Returns:
        Index in the corpus, `[n * size]`, and (y, x) in pitches, `[n * size, 2]`, window after window.
    """
    spots, position = np.empty((len(middles), size), np.int64), np.empty((len(middles), size, 2), np.float32)
    slide = np.searchsorted([place.offset for place in places], middles, side="right") - 1
    for number in np.unique(slide):
        its, mine = places[number], slide == number
        near = its.tree.query(its.position[middles[mine] - its.offset], k=size)[1].reshape(-1, size)
        spots[mine], position[mine] = near + its.offset, its.position[near]
    return spots.ravel(), position.reshape(-1, 2)
