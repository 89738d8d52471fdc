"""Control: where a spot is, and on which slide; nothing of its expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.corpus import Corpus

if TYPE_CHECKING:
    import anndata as ad

# Farther apart than any two spots of a slide, in pitches, yet exact in float32 beside them.
APART = 1e4


class Coordinates:
    """(y, x) in pitches, and the slide's identity: a column for each slide of the corpus, zero on all others.

    Distances between spots of one slide are physical. A slide outside the corpus is equally far from all within, so its
    spots' neighbours are those that lie at the same place on any slide.
    """

    unit = "none"

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        self.slides = np.array(corpus.names)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 2 + n_slides]` float32."""
        identity = APART * (self.slides == slide.uns["slide"])
        identity = np.broadcast_to(identity, (slide.n_obs, len(self.slides)))
        return np.hstack([slide.obsm["position"], identity]).astype(np.float32)
