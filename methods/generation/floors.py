"""The methods `control_image` and `state_image`: floors of image generation, which train nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from benchmark.data.tiles import View
from methods.generation.atlas import AbsentImage, make_atlas, with_images

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus
    from benchmark.training.budget import Budget


@dataclass
class ControlImage:
    """The image that a flow starts from: a training spot's of the control state whose expression is near.

    The options are those of `Generator`.
    """

    microns: PositiveFloat = 100.0
    pixels: PositiveInt = 32
    n_genes: PositiveInt = 64
    n_states: Annotated[int, Field(ge=2)] = 4
    absent_image: AbsentImage = "error"

    unit = "none"

    @property
    def view(self) -> View:
        """Field of view of the images."""
        return View(self.microns, self.pixels)

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide has no image, and `absent_image` is not "declared"."""
        with_images(corpus, self.absent_image)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Make the atlas of the training slides that have an image. Nothing is trained, so nothing is spent."""
        corpus = with_images(corpus, self.absent_image)
        self.atlas = make_atlas(corpus, self.view, self.n_genes, self.n_states, seed)

    def generate(self, slide: ad.AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """Images of some spots `[n]` of a slide, uint8 `[n, p, p, 3]`, the same for the same seed."""
        coordinates, _ = self.atlas.locate(self.atlas.read(slide, spots))
        return self.atlas.take(self.atlas.nearby_controls(coordinates, np.random.default_rng(seed)))


@dataclass
class StateImage(ControlImage):
    """An image of the state that a spot's expression falls into.

    Attributes:
        draw: "random" (a real image of a training spot of that state) or "mean" (the mean image of the state).
    """

    draw: Literal["random", "mean"] = "random"

    def generate(self, slide: ad.AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """Images of some spots `[n]` of a slide, uint8 `[n, p, p, 3]`, the same for the same seed."""
        _, state = self.atlas.locate(self.atlas.read(slide, spots))
        rng = np.random.default_rng(seed)
        images = np.empty((len(spots), self.view.pixels, self.view.pixels, 3), np.uint8)
        for number in np.unique(state):
            rows, alike = state == number, np.flatnonzero(self.atlas.state == number)
            if self.draw == "mean":
                images[rows] = self.atlas.take(alike).mean(axis=0).round()
            else:
                images[rows] = self.atlas.take(rng.choice(alike, size=rows.sum()))
        return images
