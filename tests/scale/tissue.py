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
    """A dataset: `n_slides` of `n_spots` each, on which `panel` genes are measured; a third of the counts are not 0."""

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
        chance = np.random.default_rng(9).beta(1, 1 / self.share - 1, size=(4, self.panel * (PANELS + 1) // 2))
        chance = chance[:, genes].astype(np.float32)
        parts = []
        for start in range(0, self.n_spots, AT_ONCE):
            present = rng.random((min(AT_ONCE, self.n_spots - start), self.panel), np.float32)
            present = sp.csr_matrix(present < chance[domain[start : start + AT_ONCE]], dtype=np.float32)
            present.data[:] = rng.geometric(0.5, present.nnz)
            parts.append(present)
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
