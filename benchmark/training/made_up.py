"""A made-up corpus: for a machine that has neither the data nor the readers' packages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class MadeUp:
    """Square slides full of spots; a quarter of their counts are not zero. It has what units use of a `Corpus`."""

    n_slides: int = 4
    side: int = 32
    n_genes: int = 11_871

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"slide{number}" for number in range(self.n_slides))

    @property
    def genes(self) -> np.ndarray:
        return np.arange(self.n_genes)

    @property
    def n_spots(self) -> int:
        return self.n_slides * self.side**2

    def measured(self, name: str) -> np.ndarray:
        """Every slide has measured every gene, bool `[n_genes]`."""
        return np.ones(self.n_genes, bool)

    def __len__(self) -> int:
        return self.n_slides

    def __iter__(self) -> Iterator[SimpleNamespace]:
        cell = np.argwhere(np.ones((self.side, self.side)))
        for seed, name in enumerate(self.names):
            counts = sp.random(len(cell), self.n_genes, 0.25, "csr", np.float32, np.random.default_rng(seed))
            counts.data = np.ceil(-2 * np.log1p(-counts.data))
            obsm = {"lattice": cell, "position": cell.astype(np.float32)}
            yield SimpleNamespace(
                X=counts, obs={}, var={}, uns={"slide": name}, obsm=obsm, n_obs=len(cell), n_vars=self.n_genes
            )
