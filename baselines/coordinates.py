"""Control: where a spot is, and on which slide; nothing of its expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.corpus import Corpus

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.training.budget import Budget

# In pitches: larger than any distance on a slide, and small enough to leave float32 exact for the coordinates.
APART = 1e4


class Coordinates:
    """(y, x) in pitches, and the slide's identity: a column for each slide of the corpus, zero on all other slides.

    Distances between spots of one slide are physical. A slide outside the corpus is equally far from all slides in it,
    so its spots have as neighbours the spots at the same position on any slide.
    """

    unit = "none"

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Keep the names of the slides. Nothing is spent."""
        self.slides = np.array(corpus.names)

    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, 2 + n_slides]` float32."""
        identity = APART * (self.slides == slide.uns["slide"])
        identity = np.broadcast_to(identity, (slide.n_obs, len(self.slides)))
        return np.hstack([slide.obsm["position"], identity]).astype(np.float32)
