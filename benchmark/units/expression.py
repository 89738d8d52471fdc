"""A slide as the units need it: which spots lie where, and their log-normalised counts, read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
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

MOST_VALUES = 2**26  # of a corpus that are kept in memory: 512 MiB with their genes
SPOTS_AT_ONCE = 2048  # are read together


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
        kept: whether all values are kept in memory once they were asked for.
    """

    counts: sp.csr_matrix
    scale: np.ndarray
    panel: np.ndarray
    lattice: np.ndarray
    position: np.ndarray
    offset: int
    visible: np.ndarray
    owner: np.ndarray
    kept: bool

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
        out, column = np.zeros((*spots.shape, genes.shape[1]), np.float32), np.full(self.n_genes, -1, np.int32)
        genes = np.ascontiguousarray(genes, dtype=np.int64)
        for chunk in _chunks(spots):
            parts, local = self._of(spots[chunk])
            kernels.pick(*parts, local, genes if len(genes) == 1 else genes[chunk], column, out[chunk])
        return out

    def moments(self, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square of every measured gene over the spots of each crop, float32 `[n, n_panel]` each.

        Args:
            spots: `[n, t]`, -1 where padded. A crop without spots gets zeros.
        """
        place = np.full(self.n_genes, -1, np.int32)
        place[self.panel] = np.arange(len(self.panel))
        out = np.zeros((len(spots), len(self.panel), 2), np.float32)
        for chunk in _chunks(spots):
            parts, local = self._of(spots[chunk])
            kernels.moments(*parts, local, place, out[chunk])
        return out[:, :, 0], out[:, :, 1]

    def rows(self, spots: np.ndarray) -> sp.csr_matrix:
        """The values of some spots `[n]`, CSR `[n, n_genes]`."""
        indptr, indices, values = self._read(spots)
        return sp.csr_matrix((values, indices, indptr), shape=(len(spots), self.n_genes))

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

    def prepare(self) -> None:
        """Compute what is kept in memory now, and not when it is first asked for."""
        self._grid  # noqa: B018
        if self.kept:
            self._whole  # noqa: B018

    def _of(self, spots: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The values of these spots `[n, t]` as parts of a CSR matrix, and their rows in it, `[n, t]`.

        Those that are kept are computed once, others as they are asked for. The last that were asked
        for are kept, since genes are chosen in the spots of which they are then read.
        """
        if self.kept:
            return self._whole, np.ascontiguousarray(spots, dtype=np.int64)
        if (key := spots.tobytes()) not in self._last:
            used, local = np.unique(spots, return_inverse=True)
            padding = int(used[0] < 0)
            self._last.clear()
            self._last[key] = self._read(used[padding:]), local.reshape(spots.shape) - padding
        return self._last[key]

    @cached_property
    def _last(self) -> dict[bytes, tuple[tuple[np.ndarray, ...], np.ndarray]]:
        return {}

    @cached_property
    def _whole(self) -> tuple[np.ndarray, ...]:
        return self._read(np.arange(self.n_spots))

    def _read(self, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The values of some spots `[n]`: the three arrays of a CSR matrix, as the compiled loops take them."""
        indptr, indices, counts = self._stored
        rows = np.concatenate([[0], np.cumsum(indptr[spots + 1] - indptr[spots])])
        out = rows, np.empty(rows[-1], np.int32), np.empty(rows[-1], np.float32)
        kernels.read(indptr, indices, counts, self.scale, np.ascontiguousarray(spots, dtype=np.int64), *out)
        return out

    @cached_property
    def _stored(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The arrays of the counts, of the types for which the loops are compiled: those on disk have them."""
        counts = self.counts
        return (
            np.ascontiguousarray(counts.indptr, np.int64),
            np.ascontiguousarray(counts.indices, np.int32),
            np.ascontiguousarray(counts.data, np.float32),
        )

    @cached_property
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
        return on[order].astype(np.int32), first.astype(np.int32)


def padded_rows(row: np.ndarray, values: np.ndarray, n_rows: int) -> np.ndarray:
    """The values `[k]` of each row, in rising order, int64 `[n_rows, t]`, -1 where padded; `row` `[k]` rises."""
    count = np.bincount(row, minlength=n_rows)
    values = values[np.lexsort((values, row))]
    table = np.full((n_rows, int(count.max(initial=0))), -1, np.int64)
    table[np.arange(table.shape[1]) < count[:, None]] = values
    return table


def _chunks(spots: np.ndarray) -> Iterator[slice]:
    """The crops `[n, t]` in parts of about `SPOTS_AT_ONCE` spots."""
    at_once = max(1, SPOTS_AT_ONCE // max(1, spots.shape[1]))
    return (slice(i, i + at_once) for i in range(0, len(spots), at_once))


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
        owner=np.arange(slide.n_obs, dtype=np.int32),
        kept=slide.X.nnz <= MOST_VALUES,
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
    kept = sum(slide.counts.nnz for slide in slides) <= MOST_VALUES
    slides = [replace(slide, kept=kept) for slide in slides]
    for made in slides:
        made.prepare()
    return tuple(slides)


def values_of(corpus: Corpus, spots: np.ndarray) -> sp.csr_matrix:
    """The values of some spots `[n]` of a corpus, CSR `[n, n_genes]`."""
    slides = fields(corpus)
    number = np.searchsorted([slide.offset for slide in slides], spots, side="right") - 1
    order = np.argsort(number, kind="stable")
    found = [slides[k].rows(spots[number == k] - slides[k].offset) for k in np.unique(number)]
    return sp.vstack(found, format="csr")[np.argsort(order)]
