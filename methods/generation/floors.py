"""Floors of image generation, which train nothing: a real image of the training slides, or a mean of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.tiles import View
from methods.generation.atlas import make_atlas, with_images

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

DRAWS = ("random", "mean")


class ControlImage:
    """The image that a flow starts from: a control spot's, near in expression. Arguments as those of `Generator`."""

    unit = "none"

    def __init__(
        self,
        microns: float = 100.0,
        pixels: int = 32,
        n_genes: int = 64,
        n_states: int = 4,
        absent_image: str = "error",
    ):
        self.view = View(microns, pixels)
        self.n_genes, self.n_states, self.absent_image = n_genes, n_states, absent_image

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide has no image and that was not declared."""
        with_images(corpus, self.absent_image)

    def fit(self, corpus: Corpus, budget: object, seed: int) -> None:
        corpus = with_images(corpus, self.absent_image)
        self.atlas = make_atlas(corpus, self.view, self.n_genes, self.n_states, seed)

    def generate(self, slide: ad.AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """uint8 `[n, p, p, 3]`."""
        coordinates, _ = self.atlas.locate(self.atlas.read(slide, spots))
        return self.atlas.take(self.atlas.nearby_controls(coordinates, np.random.default_rng(seed)))


class StateImage(ControlImage):
    """An image of the state that the spot's expression falls into.

    Args:
        draw: "random", a real image of a training spot of that state, or "mean", the mean of them all.
    """

    def __init__(
        self,
        draw: str = "random",
        microns: float = 100.0,
        pixels: int = 32,
        n_genes: int = 64,
        n_states: int = 4,
        absent_image: str = "error",
    ):
        if draw not in DRAWS:
            raise UnitBenchError(f"state_image: draw {draw!r}", "unknown", nearest(draw, DRAWS))
        super().__init__(microns, pixels, n_genes, n_states, absent_image)
        self.draw = draw

    def generate(self, slide: ad.AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """uint8 `[n, p, p, 3]`."""
        _, state = self.atlas.locate(self.atlas.read(slide, spots))
        rng = np.random.default_rng(seed)
        found = np.empty((len(spots), self.view.pixels, self.view.pixels, 3), np.uint8)
        for number in np.unique(state):
            here, alike = state == number, np.flatnonzero(self.atlas.state == number)
            if self.draw == "mean":
                found[here] = self.atlas.take(alike).mean(axis=0).round()
            else:
                found[here] = self.atlas.take(rng.choice(alike, size=here.sum()))
        return found
