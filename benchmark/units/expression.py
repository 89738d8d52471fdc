"""A slide as the units need it: which spots lie where, and their log-normalised counts, read as they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from benchmark.data.gene_selection import by_dispersion
from benchmark.data.normalisation import TARGET, sizes
from benchmark.data.panel import measured
from benchmark.units import kernels

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class Field:
    """One slide, ready for cropping. Values are log1p of counts per 10,000; genes are indices of the corpus' genes.

    Attributes:
        counts: raw counts, CSR `[n_spots, n_genes]`, in memory or memory-mapped.
        scale: 10,000 over the library size of each spot, float32 `[n_spots]`.
        panel: the genes that were measured on the slide, in rising order, int64 `[n_panel]`.
        lattice: (row, column) of each spot, `[n_spots, 2]`; negative if the spot is not on the lattice.
        position: (y, x) in pitches, `[n_spots, 2]`.
        offset: index of the slide's first spot in its corpus.
        visible: spots whose counts may choose genes, bool `[n_spots]`; the others are to be reconstructed.
        owner: the spot on the lattice in the cell of each spot, `[n_spots]`: the spot itself, if it is on the lattice.
    """

    counts: sp.csr_matrix
    scale: np.ndarray
    panel: np.ndarray
    lattice: np.ndarray
    position: np.ndarray
    offset: int
    visible: np.ndarray
    owner: np.ndarray

    @property
    def n_spots(self) -> int:
        return len(self.lattice)

    @property
    def n_genes(self) -> int:
        return self.counts.shape[1]

    def values(self, spots: np.ndarray, genes: np.ndarray) -> np.ndarray:
        """The values of some genes in some spots, float32 `[n, t, c]`, 0 where padded.

        Args:
            spots: `[n, t]`, -1 where padded.
            genes: `[n, c]`, or `[1, c]` for all; -1 where padded.
        """
        values, column = np.zeros((*spots.shape, genes.shape[1]), np.float32), np.full(self.n_genes, -1, np.int32)
        kernels.pick(*self._parts, spots, genes, column, values)
        return np.log1p(values, out=values)

    def moments(self, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square of every measured gene over the spots of each crop, float32 `[n, n_panel]` each.

        Args:
            spots: `[n, t]`, -1 where padded. A crop without spots gets zeros.
        """
        place = np.full(self.n_genes, -1, np.int32)
        place[self.panel] = np.arange(len(self.panel))
        mean, square = np.zeros((2, len(spots), len(self.panel)), np.float32)
        kernels.moments(*self._parts, spots, place, mean, square)
        return mean, square

    def rows(self, spots: np.ndarray) -> sp.csr_matrix:
        """The values of some spots `[n]`, CSR `[n, n_genes]`."""
        part = self.counts[spots]
        part.data = np.log1p(part.data * np.repeat(self.scale[spots], np.diff(part.indptr)), dtype=np.float32)
        return part

    def inside(self, starts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The spots of the crops of `size` (rows, columns) that begin in the cells `starts` `[n, 2]`, in rising order.

        Returns:
            int64 `[n, t]`, t the most spots in a crop; -1 where padded.
        """
        order, first = self._grid
        shape = self._shape
        rows = starts[:, :1] + np.arange(size[0])
        left, right = (np.clip(starts[:, 1] + step, 0, shape[1]) for step in (0, size[1]))
        on = (rows >= 0) & (rows < shape[0])
        cell = np.where(on, rows, 0) * shape[1]
        a, b = first[cell + left[:, None]], first[cell + right[:, None]]
        length = np.where(on, b - a, 0)
        crop = np.repeat(np.arange(len(starts)), length.sum(axis=1))
        # Runs of spots that lie side by side in `order`: their beginnings, each counted on from there.
        run = np.repeat((a - (np.cumsum(length) - length.ravel()).reshape(length.shape)).ravel(), length.ravel())
        spots = order[run + np.arange(len(run))]
        return padded_rows(crop, spots, len(starts))

    @cached_property
    def by_own_dispersion(self) -> np.ndarray:
        """Measured genes from the most to the least variable for their mean, over the visible spots, `[n_panel]`."""
        values = self.rows(np.flatnonzero(self.visible))[:, self.panel]
        return self.panel[by_dispersion(values.expm1())]

    @cached_property
    def _parts(self) -> tuple[np.ndarray, ...]:
        """The parts of `counts`, and `scale`, of the types that the compiled loops take."""
        types = (np.int64, np.int32, np.float32, np.float32)
        arrays = (self.counts.indptr, self.counts.indices, self.counts.data, self.scale)
        return tuple(_fixed(array, kind) for array, kind in zip(arrays, types, strict=True))

    @property
    def _shape(self) -> np.ndarray:
        """Rows and columns of the lattice, `[2]`."""
        return self.lattice.max(axis=0, initial=0) + 1

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The spots on the lattice, cell by cell, and where each cell begins among them, `[n_cells + 1]`."""
        on = np.flatnonzero(self.lattice[:, 0] >= 0)
        n_rows, n_columns = (int(side) for side in self._shape)
        cell = self.lattice[on, 0].astype(np.int64) * n_columns + self.lattice[on, 1]
        order = np.argsort(cell, kind="stable")
        first = np.searchsorted(cell[order], np.arange(n_rows * n_columns + 1))
        return on[order], first


def padded_rows(row: np.ndarray, values: np.ndarray, n_rows: int) -> np.ndarray:
    """The values `[k]` of each row, in rising order, int64 `[n_rows, t]`, -1 where padded; `row` `[k]` rises."""
    count = np.bincount(row, minlength=n_rows)
    values = values[np.lexsort((values, row))]
    table = np.full((n_rows, int(count.max(initial=0))), -1, np.int64)
    table[np.arange(table.shape[1]) < count[:, None]] = values
    return table


def _fixed(array: np.ndarray, kind: type) -> np.ndarray:
    """The array as this type, read-only: the loops are then compiled once."""
    fixed = np.ascontiguousarray(array, dtype=kind).view(np.ndarray)
    fixed.flags.writeable = False
    return fixed


def field(slide: ad.AnnData, offset: int = 0, hidden: np.ndarray | None = None) -> Field:
    """The slide as a field. The `hidden` spots, bool `[n_spots]`, are not visible."""
    everything = np.ones(slide.n_obs, dtype=bool)
    return Field(
        counts=slide.X,
        scale=TARGET / sizes(slide),
        panel=np.flatnonzero(measured(slide)),
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


@lru_cache(maxsize=2)
def fields(corpus: Corpus) -> tuple[Field, ...]:
    """Every slide of the corpus. They are cached, since the arms of one job pretrain on the same slides."""
    slides, offset = [], 0
    for slide in corpus:
        slides.append(field(slide, offset))
        offset += slide.n_obs
    return tuple(slides)
