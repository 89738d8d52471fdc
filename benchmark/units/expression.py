"""Log-normalised expression of a corpus, held in the orders that the units index: by gene and by spot."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch

from benchmark.data.gene_selection import by_dispersion
from benchmark.data.normalisation import lognorm

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class Field:
    """One slide, ready for cropping.

    Attributes:
        by_gene: log1p of counts per 10,000, CSR float32 `[n_genes, n_spots]`: a channel is one row.
        lattice: (row, column) of each spot, `[n_spots, 2]`; negative where the spot is not laid on the lattice.
        position: (y, x) in pitches, `[n_spots, 2]`.
        offset: index of the slide's first spot in its corpus.
        visible: spots whose counts are there to choose genes by, bool `[n_spots]`; the others are to be reconstructed.
        owner: the spot that holds each spot's cell, `[n_spots]`: itself, but for spots that are not on the lattice.
    """

    by_gene: sp.csr_matrix
    lattice: np.ndarray
    position: np.ndarray
    offset: int
    visible: np.ndarray
    owner: np.ndarray

    @property
    def n_spots(self) -> int:
        return len(self.lattice)

    @cached_property
    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`by_gene` and its square for products with crops; torch's sparse product is several times SciPy's speed."""
        return _torch(self.by_gene, self.by_gene.data), _torch(self.by_gene, np.square(self.by_gene.data))

    @cached_property
    def by_spot(self) -> sp.csr_matrix:
        return self.by_gene.T.tocsr()

    @cached_property
    def by_own_dispersion(self) -> np.ndarray:
        """Genes from the most to the least variable for their mean, over the slide's visible spots, `[n_genes]`."""
        return by_dispersion(self.by_spot[self.visible].expm1())


def field(slide: ad.AnnData, offset: int = 0, hidden: np.ndarray | None = None) -> Field:
    """The slide as a field; `hidden` spots `[n_spots]` are not visible."""
    everything = np.ones(slide.n_obs, dtype=bool)
    return Field(
        by_gene=lognorm(slide.X).T.tocsr(),
        lattice=np.asarray(slide.obsm["lattice"]),
        position=np.asarray(slide.obsm["position"]),
        offset=offset,
        visible=everything if hidden is None else ~hidden,
        owner=np.arange(slide.n_obs),
    )


def stretched(field: Field, side: int, last_wins: bool = False) -> Field:
    """The slide on a grid of `side` + 1 cells a side, each axis scaled by itself, as the released code of
    arXiv 2603.13432 does it: neither the aspect nor the pitch is kept.

    Of spots that meet in one cell the first keeps it, or the last; the others are laid nowhere.
    """
    low, high = field.position.min(axis=0), field.position.max(axis=0)
    cell = np.rint((field.position - low) / np.maximum(high - low, 1e-9) * side).astype(np.int64)
    flat = cell[:, 0] * (side + 1) + cell[:, 1]
    order = np.arange(len(flat))[:: -1 if last_wins else 1]
    _, first, back = np.unique(flat[order], return_index=True, return_inverse=True)
    owner = order[first][back][order]
    lattice = np.where((owner == np.arange(len(flat)))[:, None], cell, -1)
    return replace(field, lattice=lattice, position=cell.astype(np.float32), owner=owner)


def _torch(matrix: sp.csr_matrix, values: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            *map(torch.from_numpy, (matrix.indptr, matrix.indices, values)), matrix.shape, check_invariants=False
        )


@lru_cache(maxsize=2)
def fields(corpus: Corpus) -> tuple[Field, ...]:
    """Every slide of the corpus; kept, since the arms of one job pretrain on the same slides."""
    found, offset = [], 0
    for slide in corpus:
        found.append(field(slide, offset))
        offset += slide.n_obs
    return tuple(found)


@lru_cache(maxsize=2)
def by_spot(corpus: Corpus) -> sp.csr_matrix:
    """All spots of the corpus, CSR `[n_spots, n_genes]`."""
    return sp.vstack([lognorm(slide.X) for slide in corpus], format="csr")
