"""Simulated tissue of any size on disk: square slides, several panels of genes, four domains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from benchmark.data import lattice
from benchmark.data.slide import make_slide

PANELS = 3  # that slides have in turn; two of them share half of their genes
BLOCK = 32  # side of a domain, in cells
AT_ONCE = 20_000  # spots


@dataclass(frozen=True)
class LargeTissue:
    """A dataset: `n_slides` of `n_spots` each, on which `panel` genes are measured, about a `share` of them present."""

    n_slides: int
    n_spots: int
    panel: int = 300
    share: float = 0.3

    def record(self) -> dict:
        names = [f"slide{number:03d}" for number in range(self.n_slides)]
        donors = {name: f"donor{number % 4}" for number, name in enumerate(names)}
        return {"name": "large", "title": "made up", "licence": "none", "donors": donors, "groups": donors}

    def slides(self) -> Iterator:
        return map(self.slide, self.record()["donors"])

    def slide(self, name: str):
        number = int(name.removeprefix("slide"))
        rng = np.random.default_rng(number)
        side = math.ceil(math.sqrt(self.n_spots))
        row, column = np.divmod(np.arange(self.n_spots), side)
        domain = (row // BLOCK + column // BLOCK) % 4
        first = number % PANELS * (self.panel // 2)
        genes = np.arange(first, first + self.panel)
        # Each domain draws its genes from a window of its own over all genes of the panel, so domains differ.
        parts = [self._part(domain[start : start + AT_ONCE], rng) for start in range(0, self.n_spots, AT_ONCE)]
        laid = lattice.square(row, column, 10.0, "µm")
        return make_slide(
            sp.vstack(parts, format="csr"),
            [f"gene{gene}" for gene in genes],
            [f"c{spot}" for spot in range(self.n_spots)],
            name=name,
            donor=self.record()["donors"][name],
            position=laid.position,
            lattice=laid.cell,
            lattice_record=laid.record,
            label=np.array(["a", "b", "c", "d"])[domain],
        )

    def _part(self, domain: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
        """The counts of some spots: half of their genes from the quarter of the panel that is their domain's own."""
        n, k = len(domain), max(2, int(self.panel * self.share))
        drawn = (rng.random((n, k), np.float32) * self.panel).astype(np.int32)
        own = drawn[:, : k // 2] // 4 + (domain * (self.panel // 4))[:, None].astype(np.int32)
        drawn[:, : k // 2] = own
        drawn.sort(axis=1)
        new = np.ones(drawn.shape, bool)
        new[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
        indptr = np.concatenate([[0], np.cumsum(new.sum(axis=1))])
        counts = 1 + (rng.random(int(indptr[-1]), np.float32) ** 4 * 8).astype(np.int32).astype(np.float32)
        return sp.csr_matrix((counts, drawn[new], indptr), shape=(n, self.panel))
