"""The spot unit: one spot is a sample. Its tokens are genes, each bound to its value (as in scGPT)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from benchmark.core.contracts import UnitName
from benchmark.data.gene_selection import moments, ranked_by_variance
from benchmark.units.batch import Batch, padded
from benchmark.units.expression import Field, fields, values_of

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class SpotUnit:
    """Up to `n_tokens` non-zero genes of a spot, drawn anew each time, by their variance over the corpus.

    When a slide is embedded, the genes of greatest variance are shown. `fit` puts all genes in that `order`.
    """

    n_tokens: int = 128
    order: tuple[int, ...] = ()

    name: ClassVar[UnitName] = "spot"
    at_once: ClassVar[int] = 512

    def fit(self, corpus: Corpus) -> Self:
        """The unit with the order of the genes."""
        return replace(self, order=tuple(ranked_by_variance(corpus).tolist()))

    def tokens_per_sample(self, corpus: Corpus) -> float:
        """Mean number of genes that a spot shows."""
        shown = [np.minimum(np.diff(field.counts.indptr), self.n_tokens) for field in fields(corpus)]
        return float(np.concatenate(shown).mean())

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        """`n` random spots with replacement. `draw_weighted` explains the draw of genes."""
        spots = rng.integers(corpus.n_spots, size=n)
        values, genes, valid = rows(values_of(corpus, spots))
        _, variance = moments(corpus)
        time = rng.standard_exponential(values.shape, dtype=np.float32) / np.maximum(variance[genes], 1e-10)
        return self._batch(values, genes, valid, time, spots)

    def lay(self, field: Field) -> Field:
        """The slide as it is."""
        return field

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """Every spot of a slide. A spot with more than `n_tokens` non-zero genes shows those that vary most."""
        rank = np.empty(len(self.order))
        rank[list(self.order)] = np.arange(len(self.order))
        at_once = max(1, tokens // self.n_tokens)
        for i in range(0, field.n_spots, at_once):
            spots = np.arange(i, min(i + at_once, field.n_spots))
            values, genes, valid = rows(field.rows(spots))
            yield self._batch(values, genes, valid, rank[genes], spots + field.offset)

    def _batch(
        self, values: np.ndarray, genes: np.ndarray, valid: np.ndarray, order: np.ndarray, spots: np.ndarray
    ) -> Batch:
        """The `n_tokens` tokens of each row that come first in `order`; all but `spots` `[n]` are `[n, t]`."""
        if order.shape[1] > self.n_tokens:
            last = np.partition(np.where(valid, order, np.inf), self.n_tokens - 1, axis=1)[:, self.n_tokens - 1, None]
            valid = valid & (order <= last)
        t = padded(max(int(valid.sum(axis=1).max()), 1))
        first = np.argsort(~valid, axis=1, kind="stable")[:, :t]
        values, genes, valid = (np.take_along_axis(a, first, axis=1) for a in (values, genes, valid))
        return Batch(
            values=(values * valid)[:, :, None],
            genes=genes[:, :, None],
            position=np.zeros((*valid.shape, 2), np.float32),
            cell=np.zeros((*valid.shape, 2), np.int64),
            valid=valid,
            spot=np.where(valid, spots[:, None], -1),
            read=valid,
            measured=np.ones((*valid.shape, 1), bool),
        )


def rows(part: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, columns and validity of the non-zero entries of each row of a CSR matrix, padded to `[n, t]` each."""
    length = np.diff(part.indptr)
    t = padded(max(int(length.max()), 1))
    valid = np.arange(t) < length[:, None]
    values = np.zeros(valid.shape, np.float32)
    columns = np.zeros(valid.shape, np.int64)
    values[valid], columns[valid] = part.data, part.indices
    return values, columns, valid
