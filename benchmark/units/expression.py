"""Log-normalised expression of a corpus, held in the orders that the units index: by gene and by spot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import anndata as ad
import numpy as np
import scipy.sparse as sp

from benchmark.corpus import Corpus
from benchmark.slide import lognorm


@dataclass(frozen=True)
class Field:
    """One slide, ready for cropping.

    Attributes:
        by_gene: log1p of counts per 10,000, CSR float32 `[n_genes, n_spots]`: a channel is one row.
        squared: the same values squared, for variances.
        lattice: (row, column) of each spot, `[n_spots, 2]`.
        position: (y, x) in pitches, `[n_spots, 2]`.
        offset: index of the slide's first spot in its corpus.
    """

    by_gene: sp.csr_matrix
    squared: sp.csr_matrix
    lattice: np.ndarray
    position: np.ndarray
    offset: int

    @property
    def n_spots(self) -> int:
        return len(self.lattice)


def field(slide: ad.AnnData, offset: int = 0) -> Field:
    by_gene = lognorm(slide.X).T.tocsr()
    squared = sp.csr_matrix((np.square(by_gene.data), by_gene.indices, by_gene.indptr), shape=by_gene.shape)
    return Field(by_gene, squared, slide.obsm["lattice"], slide.obsm["position"], offset)


@lru_cache(maxsize=2)
def fields(corpus: Corpus) -> tuple[Field, ...]:
    """Every slide of the corpus; kept, since the arms of one job pretrain on the same slides."""
    offsets = np.concatenate([[0], np.cumsum(corpus.table["n_spots"])])
    return tuple(field(slide, int(offset)) for slide, offset in zip(corpus, offsets, strict=False))


@lru_cache(maxsize=2)
def by_spot(corpus: Corpus) -> sp.csr_matrix:
    """All spots of the corpus, CSR `[n_spots, n_genes]`."""
    return sp.vstack([lognorm(slide.X) for slide in corpus], format="csr")
