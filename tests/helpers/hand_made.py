"""Slides made by hand: their spots are in the lattice cells that a test names."""

import numpy as np

from benchmark.data import lattice
from benchmark.data.slide import make_slide

N_GENES = 12


def slide_at(cell: np.ndarray, seed: int = 0, name: str = "slide"):
    """A slide with spots in these lattice cells `[n_spots, 2]`; several may share one."""
    counts = np.random.default_rng(seed).poisson(1.5, size=(len(cell), N_GENES))
    laid = lattice.square(*cell.T, 100.0, "µm")
    return make_slide(
        counts,
        [f"gene{g}" for g in range(N_GENES)],
        [f"spot{s}" for s in range(len(cell))],
        name=name,
        donor=name,
        position=laid.position,
        lattice=laid.cell,
        lattice_record=laid.record,
    )
