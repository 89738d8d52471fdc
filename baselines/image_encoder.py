"""The method `image_encoder`: what a frozen network of timm's, trained elsewhere, tells of each spot's tile."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from pydantic import PositiveFloat

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_array, write_atomic
from benchmark.data.tiles import View, cut
from benchmark.metrics.network_features import PRETRAINED, RANDOM, open_network

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget


class ImageEncoder:
    """Features of a frozen image encoder. Nothing is trained here, so no budget is spent.

    A tile is cut at the size that the encoder reads, and normalised as it expects. The features of a slide are kept
    beside the corpus, under the name of the encoder, the checksum of its weights, and that of the tiles.

    Args:
        network: a name of timm's; null: every row is "not applicable".
        weights: the path of a file of its weights (safetensors, or tensors alone saved by torch), or of a folder as the
            Hugging Face hub has it; "pretrained": timm downloads them; "random": they are drawn by the seed, which
            shows what the network tells untrained.
        microns: side of a tile, in µm.
        seen: names of slides, or of whole datasets, that the encoder was trained on. Their rows say so.
    """

    unit = "none"

    def __init__(
        self,
        network: str | None = None,
        weights: str = PRETRAINED,
        microns: PositiveFloat = 112.0,
        seen: tuple[str, ...] = (),
    ):
        self.network, self.weights, self.microns, self.pretrained_on = network, weights, microns, seen
        self.not_applicable = "" if network else "no image encoder"
        self.reference = "" if weights == RANDOM else "trained elsewhere, not compute-matched"

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: no such network, or no weights of it."""
        if self.network:
            open_network(self.network, self.weights)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Open the encoder. Nothing is learned; `seed` draws random weights. Raises UnitBenchError as `check` does."""
        if not self.network:
            raise UnitBenchError("image_encoder", self.not_applicable, "set network to a name of timm's")
        self.encoder = open_network(self.network, self.weights, seed if self.weights == RANDOM else 0)
        self.n_parameters = self.encoder.n_parameters
        self.folder = corpus.kept("features") / f"{self.network.replace('/', '_')}-{self.encoder.digest}"

    def embed_image(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]` float32, with the `d` of the encoder. Features that are kept count as much as those made."""
        from benchmark.training.watch import unwatched

        tiles = cut(slide, View(self.microns, self.encoder.pixels))
        self.encoder.pretend(len(tiles))
        path = self.folder / f"{slide.uns['slide']}-{hashlib.sha256(tiles).hexdigest()[:12]}.npy"
        if not path.exists():
            with unwatched():
                features = self.encoder(tiles)
            write_atomic(path, lambda temporary: np.save(temporary, features))
        return np.array(read_array(path))
