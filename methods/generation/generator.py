"""The method `generator`: trained within a budget, it draws the tissue of spots from their expression alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.tiles import View
from benchmark.metrics.morphology import threshold
from benchmark.model.trunk import PRESETS
from benchmark.training.budget import Budget, Meter
from benchmark.training.loop import pretrain
from benchmark.training.trained import Trained
from methods.generation.atlas import AbsentImage, Atlas, make_atlas, with_images
from methods.generation.decoder import Decoder, Expression
from methods.generation.merging import MOST, SQUARE
from methods.generation.modules import Diffusion, Flow, Generating, to_bytes, unit_range
from methods.generation.morphology import soft_morphology
from methods.generation.pairs import Pairing
from methods.generation.unit import SpotImages, pair_up

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

AT_ONCE = 64  # images sampled together
TILES_TO_MEASURE = 1000


@dataclass
class Generator(Trained):
    """Every choice of the ladder that starts with the plain flow.

    Attributes:
        objective: "flow" (a control spot's image becomes the target's) or "diffusion" (noise becomes an image).
        microns, pixels: side of an image, in µm and in pixels.
        patch: pixels along a side of a token.
        n_genes: the genes that are read: those that vary most.
        n_states: clusters of expression. Pairs lead from the most frequent cluster to each cluster.
        pairs: how the pairs of a flow are made, "transport" or "random".
        weighted: whether a pair weighs in proportion to its confidence.
        contrast: weight of the condition contrast; 0: no such term.
        morphology: weight of the morphology loss; 0: no such term.
        condition: "kept", or "removed": every spot is given the same expression.
        merging: share of image tokens merged in self-attention.
        passes: passes of the decoder that make an image.
        samples_per_step: samples of a training step.
        absent_image: "error", or "declared": slides without an image are left out.
        preset: width and depth.
        model: the module, once `fit` has made it.
        diagnostics: what the pairs are worth, once `fit` has made them.
    """

    objective: Literal["flow", "diffusion"] = "flow"
    microns: PositiveFloat = 100.0
    pixels: PositiveInt = 32
    patch: PositiveInt = 4
    n_genes: PositiveInt = 64
    n_states: Annotated[int, Field(ge=2)] = 4
    pairs: Pairing = "transport"
    weighted: bool = True
    contrast: NonNegativeFloat = 0.0
    morphology: NonNegativeFloat = 0.0
    condition: Literal["kept", "removed"] = "kept"
    merging: Annotated[float, Field(ge=0, le=MOST)] = 0.0
    passes: Annotated[int, Field(ge=2)] = 20  # a step of a flow takes two
    samples_per_step: PositiveInt = 32
    absent_image: AbsentImage = "error"
    preset: str = "nano"
    model: Generating | None = field(default=None, init=False, repr=False)
    diagnostics: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    unit = "spot"

    def __post_init__(self) -> None:
        """Raises UnitBenchError: options that do not go together, or an unknown preset."""
        if self.preset not in PRESETS:
            raise UnitBenchError(f"generator: preset {self.preset!r}", "unknown", nearest(self.preset, PRESETS))
        if self.pixels % (self.patch * SQUARE):
            cause = f"{self.pixels} pixels in tokens of {self.patch}"
            raise UnitBenchError("generator", cause, f"give a multiple of {SQUARE * self.patch} pixels")
        if self.objective == "diffusion" and (self.contrast or self.morphology or self.pairs == "random"):
            raise UnitBenchError("generator", "a diffusion has no pairs", "leave out pairs, contrast and morphology")

    @property
    def view(self) -> View:
        """Field of view of the images."""
        return View(self.microns, self.pixels)

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide has no image, and `absent_image` is not "declared"."""
        with_images(corpus, self.absent_image)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the slides that have an image. An amount of 0 leaves the model untrained.

        Returns:
            The meter; None where nothing was spent.
        """
        corpus = with_images(corpus, self.absent_image)
        self.atlas = make_atlas(corpus, self.view, self.n_genes, self.n_states, seed)
        unit = self._unit(self.atlas, seed)
        torch.manual_seed(seed)
        self.model = self._module(self.atlas)
        spent = None
        if budget.amount > 0:
            rate = PRESETS[self.preset].learning_rate
            spent = pretrain(self.model, unit, corpus, budget, seed, rate)
        self.model.eval()
        return spent

    @torch.inference_mode()
    def generate(self, slide: ad.AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """Images of some spots `[n]` of a slide, uint8 `[n, p, p, 3]`, the same for the same seed.

        A flow starts from images of training spots: controls whose expression is near. Where pairs are random or the
        condition is removed, it starts from any controls.
        """
        values = self.atlas.read(slide, spots)
        start = self.atlas.take(self._controls(values, np.random.default_rng(seed)))
        generator = torch.Generator().manual_seed(seed)
        device = next(self.model.parameters()).device
        images = []
        for i in range(0, len(spots), AT_ONCE):
            rows = slice(i, i + AT_ONCE)
            part = (torch.from_numpy(a[rows]).to(device) for a in (values, start))
            images.append(to_bytes(self.model.sample(*part, generator)).cpu().numpy())
        return np.concatenate(images)

    def _unit(self, atlas: Atlas, seed: int) -> SpotImages:
        """What is drawn in training: spots, or pairs of spots for a flow."""
        if self.objective == "diffusion":
            return SpotImages(atlas, self.samples_per_step)
        unit = pair_up(atlas, self.pairs, self.weighted, seed, self.samples_per_step)
        self.diagnostics = unit.diagnostics
        return unit

    def _module(self, atlas: Atlas) -> Generating:
        """The untrained module."""
        values, preset = torch.from_numpy(atlas.values), PRESETS[self.preset]
        expression = Expression(values.mean(dim=0), values.std(dim=0), preset.d, self.condition == "removed")
        decoder = Decoder(expression, preset, self.pixels, self.patch, self.merging)
        if self.objective == "diffusion":
            return Diffusion(decoder, self.passes)
        some = atlas.take(np.linspace(0, len(values) - 1, min(len(values), TILES_TO_MEASURE)).astype(int))
        cut = threshold(some)
        scale = soft_morphology(unit_range(torch.from_numpy(some)), cut).std(dim=0).clamp(min=1e-6)
        return Flow(decoder, self.passes, cut, scale, self.contrast, self.morphology)

    def _controls(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A control spot for each spot with these values `[n, n_genes]`, `[n]`."""
        if self.pairs == "random" or self.condition == "removed":
            return rng.choice(self.atlas.controls, size=len(values))
        return self.atlas.nearby_controls(self.atlas.locate(values)[0], rng)
