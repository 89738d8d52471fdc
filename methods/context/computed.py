"""Arrays with a row for each spot, of which a large slide keeps none: those that are asked for are computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Computed:
    """An array `[n_spots, …]` that is indexed by spots of any shape, as a NumPy array is.

    Args:
        of: the rows of some spots, int `[n]`, which rise and are all different.
    """

    def __init__(self, of: Callable[[np.ndarray], np.ndarray]):
        self._of = of

    def __getitem__(self, spots: np.ndarray) -> np.ndarray:
        """The rows, `[*spots.shape, …]`; where a spot is -1, any values."""
        used, place = np.unique(np.maximum(spots, 0), return_inverse=True)
        return self._of(used)[place.reshape(spots.shape)]


Rows = np.ndarray | Computed
