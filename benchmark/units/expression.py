"""Log-normalised expression of a corpus, indexed by gene and by spot, as the units need it."""

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
        lattice: (row, column) of each spot, `[n_spots, 2]`; negative if the spot is not on the lattice.
        position: (y, x) in pitches, `[n_spots, 2]`.
        offset: index of the slide's first spot in its corpus.
        visible: spots whose counts may choose genes, bool `[n_spots]`; the others are to be reconstructed.
        owner: the spot on the lattice in the cell of each spot, `[n_spots]`: the spot itself, if it is on the lattice.
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
        """`by_gene` and its square as sparse tensors: torch multiplies them with crops much faster than SciPy."""
        return _torch(self.by_gene, self.by_gene.data), _torch(self.by_gene, np.square(self.by_gene.data))

    @cached_property
    def by_spot(self) -> sp.csr_matrix:
        """CSR `[n_spots, n_genes]`."""
        return self.by_gene.T.tocsr()

    @cached_property
    def by_own_dispersion(self) -> np.ndarray:
        """Genes from the most to the least variable for their mean, over the slide's visible spots, `[n_genes]`."""
        return by_dispersion(self.by_spot[self.visible].expm1())


def field(slide: ad.AnnData, offset: int = 0, hidden: np.ndarray | None = None) -> Field:
    """The slide as a field. The `hidden` spots, bool `[n_spots]`, are not visible."""
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
    """The slide on a grid of `side` + 1 cells a side. Each axis is scaled by itself, as in the released code of
    arXiv 2603.13432, so neither the aspect nor the pitch is kept.

    If several spots meet in a cell, the first of them is on the lattice (the last, with `last_wins`), the others are
    not.
    """
    low, high = field.position.min(axis=0), field.position.max(axis=0)
    cell = np.rint((field.position - low) / np.maximum(high - low, 1e-9) * side).astype(np.int64)
    flat = cell[:, 0] * (side + 1) + cell[:, 1]
    order = np.arange(len(flat))[:: -1 if last_wins else 1]
    _, first, inverse = np.unique(flat[order], return_index=True, return_inverse=True)
    owner = order[first][inverse][order]
    lattice = np.where((owner == np.arange(len(flat)))[:, None], cell, -1)
    return replace(field, lattice=lattice, position=cell.astype(np.float32), owner=owner)


def _torch(matrix: sp.csr_matrix, values: np.ndarray) -> torch.Tensor:
    """A sparse tensor of these values in the pattern of `matrix`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        rows, columns, data = map(torch.from_numpy, (matrix.indptr, matrix.indices, values))
        return torch.sparse_csr_tensor(rows, columns, data, matrix.shape, check_invariants=False)


@lru_cache(maxsize=2)
def fields(corpus: Corpus) -> tuple[Field, ...]:
    """Every slide of the corpus. They are cached, since the arms of one job pretrain on the same slides."""
    slides, offset = [], 0
    for slide in corpus:
        slides.append(field(slide, offset))
        offset += slide.n_obs
    return tuple(slides)


@lru_cache(maxsize=2)
def by_spot(corpus: Corpus) -> sp.csr_matrix:
    """All spots of the corpus, log-normalised, CSR float32 `[n_spots, n_genes]`."""
    return sp.vstack([lognorm(slide.X) for slide in corpus], format="csr")
