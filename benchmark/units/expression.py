"""Log-normalised expression of a corpus, held in the orders that the units index: by gene and by spot."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import anndata as ad
import numpy as np
import scipy.sparse as sp
import torch

from benchmark.corpus import Corpus
from benchmark.slide import lognorm


@dataclass(frozen=True)
class Field:
    """One slide, ready for cropping.

    Attributes:
        by_gene: log1p of counts per 10,000, CSR float32 `[n_genes, n_spots]`: a channel is one row.
        moments: the same matrix and its square for products with crops; torch's sparse product is several times
            as fast as SciPy's.
        lattice: (row, column) of each spot, `[n_spots, 2]`.
        position: (y, x) in pitches, `[n_spots, 2]`.
        offset: index of the slide's first spot in its corpus.
    """

    by_gene: sp.csr_matrix
    moments: tuple[torch.Tensor, torch.Tensor]
    lattice: np.ndarray
    position: np.ndarray
    offset: int

    @property
    def n_spots(self) -> int:
        return len(self.lattice)


def field(slide: ad.AnnData, offset: int = 0) -> Field:
    by_gene = lognorm(slide.X).T.tocsr()
    pair = (_torch(by_gene, by_gene.data), _torch(by_gene, np.square(by_gene.data)))
    return Field(by_gene, pair, slide.obsm["lattice"], slide.obsm["position"], offset)


def _torch(matrix: sp.csr_matrix, values: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            *map(torch.from_numpy, (matrix.indptr, matrix.indices, values)), matrix.shape, check_invariants=False
        )


@lru_cache(maxsize=2)
def fields(corpus: Corpus) -> tuple[Field, ...]:
    """Every slide of the corpus; kept, since the arms of one job pretrain on the same slides."""
    offsets = np.concatenate([[0], np.cumsum(corpus.table["n_spots"])])
    return tuple(field(slide, int(offset)) for slide, offset in zip(corpus, offsets, strict=False))


@lru_cache(maxsize=2)
def by_spot(corpus: Corpus) -> sp.csr_matrix:
    """All spots of the corpus, CSR `[n_spots, n_genes]`."""
    return sp.vstack([lognorm(slide.X) for slide in corpus], format="csr")
