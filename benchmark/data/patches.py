"""A part of a large slide on which spots keep their neighbours: round patches at random places."""

from __future__ import annotations

import numpy as np

PATCH = 1000  # spots


def in_patches(position: np.ndarray, share: float) -> np.ndarray:
    """Indices of a `share` of the spots, in rising order, `[n]`: those nearest to random spots, always the same.

    Patches that overlap make the part smaller.

    Args:
        position: `[n_spots, 2]`.
    """
    from scipy.spatial import cKDTree  # slow to import, and few corpora are thinned

    n_patches = max(1, round(share * len(position) / PATCH))
    centres = np.random.default_rng(0).choice(len(position), min(n_patches, len(position)), replace=False)
    size = min(len(position), max(1, round(share * len(position) / n_patches)))
    return np.unique(cKDTree(position).query(position[centres], k=size)[1])
