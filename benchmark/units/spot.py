"""The spot: one spot is a sample, its tokens are genes, each bound to its value (as in scGPT)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.gene_selection import moments, top_variance
from benchmark.units.batch import Batch, padded
from benchmark.units.expression import Field, by_spot

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class SpotUnit:
    """Up to `n_tokens` of a spot's non-zero genes, drawn anew each time, by their variance over the corpus.

    When a slide is embedded, the genes of greatest variance are shown: `order`, found by `fit`.
    """

    n_tokens: int = 128
    order: tuple[int, ...] = ()

    name = "spot"
    at_once = 512

    def fit(self, corpus: Corpus) -> SpotUnit:
        return replace(self, order=tuple(top_variance(corpus, len(corpus.genes)).tolist()))

    def tokens_per_sample(self, corpus: Corpus) -> float:
        return float(np.minimum(np.diff(by_spot(corpus).indptr), self.n_tokens).mean())

    def draw(self, corpus: Corpus, n: int, rng: np.random.Generator) -> Batch:
        spots = rng.integers(corpus.n_spots, size=n)
        values, genes, there = rows(by_spot(corpus), spots)
        _, variance = moments(corpus)
        clock = rng.standard_exponential(values.shape, dtype=np.float32) / np.maximum(variance[genes], 1e-10)
        return self._batch(values, genes, there, clock, spots)

    def lay(self, field: Field) -> Field:
        return field

    def cover(self, field: Field, tokens: int) -> Iterator[Batch]:
        """Every spot of a slide; of more non-zero genes than there are tokens, those that vary most."""
        rank = np.empty(len(self.order))
        rank[list(self.order)] = np.arange(len(self.order))
        at_once = max(1, tokens // self.n_tokens)
        for i in range(0, field.n_spots, at_once):
            spots = np.arange(i, min(i + at_once, field.n_spots))
            values, chosen, there = rows(field.by_spot, spots)
            yield self._batch(values, chosen, there, rank[chosen], spots + field.offset)

    def _batch(self, values, genes, there, order, spots) -> Batch:
        """Keep the `n_tokens` tokens of each row that come first in `order`."""
        if order.shape[1] > self.n_tokens:
            last = np.partition(np.where(there, order, np.inf), self.n_tokens - 1, axis=1)[:, self.n_tokens - 1, None]
            there = there & (order <= last)
        t = padded(max(int(there.sum(axis=1).max()), 1))
        first = np.argsort(~there, axis=1, kind="stable")[:, :t]
        values, genes, there = (np.take_along_axis(a, first, axis=1) for a in (values, genes, there))
        return Batch(
            (values * there)[:, :, None],
            genes[:, :, None],
            np.zeros((*there.shape, 2), np.float32),
            np.zeros((*there.shape, 2), np.int64),
            there,
            np.where(there, spots[:, None], -1),
            there,
        )


def rows(matrix, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Non-zero values of some spots of a CSR matrix, padded: values, columns and which are there, `[n, t]` each."""
    part = matrix[spots]
    length = np.diff(part.indptr)
    t = padded(max(int(length.max()), 1))
    there = np.arange(t) < length[:, None]
    values = np.zeros(there.shape, np.float32)
    columns = np.zeros(there.shape, np.int64)
    values[there], columns[there] = part.data, part.indices
    return values, columns, there
