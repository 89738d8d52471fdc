"""scGPT's samples: spots as genes with bins, drawn one by one or as windows of neighbouring spots."""

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
    """A random subset of a spot's non-zero genes, drawn anew each time, each gene with its bin.

    A value's bin is its bin among all genes of the spot that have a token. It is computed before the subset is drawn,
    as in the official collator.

    Attributes:
        n_tokens: genes of a spot that are shown at once, at most.
        batch_size: spots of a step.
        window: spots of a step where it is not 0, in place of `batch_size`: the spots of one slide that are nearest to
            a random spot. 0: the spots of a step are drawn from all slides.
        gene_mean: whether counts are divided by their gene's mean non-zero count before they are binned. A gene with no
            counts in the training slides is divided by its mean in the slide that is embedded.
        shuffle_coordinates: negative control: the spots of each slide change places before windows are drawn.
        token: token of each gene of the corpus, `[n_genes]`. A gene with a negative token is left out. None: genes are
            their own tokens.
        mean: each gene's mean non-zero count, from `fit`, NaN where there is none, `[n_genes]`.
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
        """Spots of a step."""
        return self.window or self.batch_size

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide has fewer spots than a window."""
        n_spots = corpus.table["n_spots"]
        if n_spots.min() < self.window:
            cause = f"a window of {self.window} spots is more than slide {n_spots.idxmin()} has ({n_spots.min()})"
            raise UnitBenchError("scgpt unit", cause, "set a smaller window")

    def fit(self, corpus: Corpus) -> ScGPTUnit:
        """The unit with the genes' means over the training slides, where it needs them."""
        return replace(self, mean=nonzero_mean(counts(corpus)) if self.gene_mean else None)

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Genes that a spot shows, on average."""
        if self.window:
            layouts(corpus, self.shuffle_coordinates)  # prepares the corpus before the clock runs
        return float(np.minimum(np.diff(counts(corpus).indptr), self.n_tokens).mean())

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` random spots, or the first `n` spots of random windows, window after window."""
        if self.window:
            middles = rng.integers(corpus.n_spots, size=-(-n // self.window))
            spots, position = windows(layouts(corpus, self.shuffle_coordinates), middles, self.window)
        else:
            spots, position = rng.integers(corpus.n_spots, size=n), np.zeros((n, 2), np.float32)
        return self._batch(counts(corpus), spots[:n], position[:n], self.mean, *rng.spawn(2))

    def cover(self, slide: ad.AnnData, tokens: int) -> Iterator[Batch]:
        """Every spot of a slide in its order. Genes and ties are drawn in the same way each time."""
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
        """Spots `[n]` at `position` `[n, 2]` as genes with bins.

        Args:
            matrix: counts, CSR `[n_spots, n_genes]`.
            mean: what the counts are divided by, `[n_genes]`; None: nothing.
            ties: draws the bins of tied values.
            clock: draws the genes that are shown.
        """
        tokens = rows(matrix, spots)
        if self.token is not None:
            tokens = tokens._replace(valid=tokens.valid & (self.token[tokens.genes] >= 0))
        values = tokens.values if mean is None else tokens.values / mean[tokens.genes]
        bins = binned(values, tokens.valid, uniform(tokens.valid, ties))
        tokens = subset(tokens._replace(values=bins), self.n_tokens, uniform(tokens.valid, clock))
        t = padded(max(int(tokens.valid.sum(axis=1).max()), 1))
        bins, genes, valid = (_to_width(array, t) for array in tokens)
        genes = genes if self.token is None else self.token[genes]
        return Batch(
            values=(bins * valid)[:, :, None].astype(np.float32),
            genes=(genes * valid)[:, :, None],
            position=np.broadcast_to(position[:, None], (*valid.shape, 2)),
            cell=np.zeros((*valid.shape, 2), np.int64),
            valid=valid,
            spot=np.where(valid, spots[:, None], -1),
            read=valid,
            measured=np.ones((*valid.shape, 1), bool),
        )


def _to_width(array: np.ndarray, t: int) -> np.ndarray:
    """The array cut, or padded with zeros, to `[n, t]`."""
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


class Layout(NamedTuple):
    """The positions of one slide's spots.

    Attributes:
        offset: index of the slide's first spot in the corpus.
        position: (y, x) in pitches, `[n_spots, 2]`.
        tree: finds the nearest spots of a position.
    """

    offset: int
    position: np.ndarray
    tree: cKDTree


@lru_cache(maxsize=4)
def layouts(corpus: Corpus, shuffled: bool) -> tuple[Layout, ...]:
    """The layout of each slide; `shuffled`: with permuted positions, the same each time."""
    all_layouts, offset = [], 0
    for number, slide in enumerate(corpus):
        position = np.asarray(slide.obsm["position"], np.float32)
        if shuffled:
            position = np.random.default_rng(number).permutation(position)
        all_layouts.append(Layout(offset, position, cKDTree(position)))
        offset += slide.n_obs
    return tuple(all_layouts)


def windows(layouts: tuple[Layout, ...], middles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The `size` spots of the same slide that are nearest to each of the spots `middles` `[n]`, itself included.

    Returns:
        Indices in the corpus, `[n * size]`, and (y, x) in pitches, `[n * size, 2]`, window after window.
    """
    spots, position = np.empty((len(middles), size), np.int64), np.empty((len(middles), size, 2), np.float32)
    slide = np.searchsorted([layout.offset for layout in layouts], middles, side="right") - 1
    for number in np.unique(slide):
        layout, in_slide = layouts[number], slide == number
        near = layout.tree.query(layout.position[middles[in_slide] - layout.offset], k=size)[1].reshape(-1, size)
        spots[in_slide], position[in_slide] = near + layout.offset, layout.position[near]
    return spots.ravel(), position.reshape(-1, 2)
