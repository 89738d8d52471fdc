"""The generator as a method: trained within a budget, it draws the tissue of spots from their expression alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.tiles import View
from benchmark.metrics.morphology import threshold
from benchmark.model.trunk import PRESETS
from benchmark.training.budget import Budget, Meter
from benchmark.training.loop import pretrain
from benchmark.training.trained import Trained
from methods.generation.atlas import ABSENT, make_atlas, with_images
from methods.generation.decoder import Decoder, Expression
from methods.generation.merging import CELL, MOST
from methods.generation.modules import Diffusion, Flow, Generating, to_bytes, unit_range
from methods.generation.morphology import soft_morphology
from methods.generation.unit import SpotImages, pair_up

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

OBJECTIVES = ("flow", "diffusion")
CONDITIONS = ("kept", "removed")
PAIRS = ("transport", "random")
AT_ONCE = 64  # images sampled together
TILES_TO_MEASURE = 1000


class Generator(Trained):
    """Every choice of the ladder from the plain flow on.

    Args:
        objective: "flow" (a control spot's image is carried to the target's) or "diffusion" (noise becomes an image).
        microns, pixels: field of view of an image; `patch`: pixels along a side of a token.
        n_genes: the genes that are read, those that vary most.
        n_states: clusters of expression; pairs lead from the most frequent to each.
        pairs: "transport" or "random", of a flow.
        weighted: a pair weighs in proportion to its confidence.
        contrast: weight of the condition contrast; `morphology`: of the morphology loss. 0 leaves the term out.
        condition: "kept" or "removed": every spot is given the same expression.
        merging: share of image tokens merged in self-attention, 0 to 0.75.
        passes: of the decoder, to make an image.
        samples_per_step: in training.
        absent_image: "error", or "declared": slides without an image are left out.
        preset: width and depth.
    """

    unit = "spot"

    def __init__(
        self,
        objective: str = "flow",
        microns: float = 100.0,
        pixels: int = 32,
        patch: int = 4,
        n_genes: int = 64,
        n_states: int = 4,
        pairs: str = "transport",
        weighted: bool = True,
        contrast: float = 0.0,
        morphology: float = 0.0,
        condition: str = "kept",
        merging: float = 0.0,
        passes: int = 20,
        samples_per_step: int = 32,
        absent_image: str = "error",
        preset: str = "nano",
    ):
        for option, value, known in (
            ("objective", objective, OBJECTIVES),
            ("pairs", pairs, PAIRS),
            ("condition", condition, CONDITIONS),
            ("absent_image", absent_image, ABSENT),
            ("preset", preset, PRESETS),
        ):
            if value not in known:
                raise UnitBenchError(f"generator: {option} {value!r}", "unknown", nearest(value, known))
        if pixels % (patch * CELL) or not 0 <= merging <= MOST:
            cause = f"{pixels} pixels in tokens of {patch}, merging {merging}"
            remedy = f"give a multiple of {CELL * patch} pixels and merging from 0 to {MOST}"
            raise UnitBenchError("generator", cause, remedy)
        if objective == "diffusion" and (contrast or morphology or pairs == "random"):
            raise UnitBenchError("generator", "a diffusion has no pairs", "leave out pairs, contrast and morphology")
        self.view = View(microns, pixels)
        self.objective, self.patch, self.n_genes, self.n_states = objective, patch, n_genes, n_states
        self.pairs, self.weighted, self.contrast, self.morphology = pairs, weighted, contrast, morphology
        self.condition, self.merging, self.passes, self.samples_per_step = condition, merging, passes, samples_per_step
        self.absent_image, self.preset = absent_image, preset
        self.model: Generating | None = None
        self.diagnostics: dict[str, float] = {}

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide has no image and that was not declared."""
        with_images(corpus, self.absent_image)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the slides that have an image; an amount of 0 leaves the model as it was drawn."""
        corpus = with_images(corpus, self.absent_image)
        self.atlas = make_atlas(corpus, self.view, self.n_genes, self.n_states, seed)
        unit = self._unit(seed)
        torch.manual_seed(seed)
        self.model = self._module()
        spent = None
        if budget.amount > 0:
            rate = PRESETS[self.preset].learning_rate
            spent = pretrain(self.model, unit, corpus, budget, seed, rate)
        self.model.eval()
        return spent

    def _unit(self, seed: int) -> SpotImages:
        if self.objective == "diffusion":
            return SpotImages(self.atlas, self.samples_per_step)
        unit = pair_up(self.atlas, self.pairs, self.weighted, seed, self.samples_per_step)
        self.diagnostics = unit.diagnostics
        return unit

    def _module(self) -> Generating:
        values, preset = torch.from_numpy(self.atlas.values), PRESETS[self.preset]
        expression = Expression(values.mean(dim=0), values.std(dim=0), preset.d, self.condition == "removed")
        decoder = Decoder(expression, preset, self.view.pixels, self.patch, self.merging)
        if self.objective == "diffusion":
            return Diffusion(decoder, self.passes)
        some = self.atlas.take(np.linspace(0, len(values) - 1, min(len(values), TILES_TO_MEASURE)).astype(int))
        cut = threshold(some)
        scale = soft_morphology(unit_range(torch.from_numpy(some)), cut).std(dim=0).clamp(min=1e-6)
        return Flow(decoder, self.passes, cut, scale, self.contrast, self.morphology)

    @torch.inference_mode()
    def generate(self, slide: ad.AnnData, spots: np.ndarray, seed: int) -> np.ndarray:
        """Images of some spots of a slide, uint8 `[n, p, p, 3]`; the same for the same seed.

        A flow starts from images of training spots: controls whose expression is near, or any of them where pairs are
        random or the condition is removed.
        """
        values = self.atlas.read(slide, spots)
        start = self.atlas.take(self._controls(values, np.random.default_rng(seed)))
        generator = torch.Generator().manual_seed(seed)
        device = next(self.model.parameters()).device
        found = []
        for i in range(0, len(spots), AT_ONCE):
            rows = slice(i, i + AT_ONCE)
            part = (torch.from_numpy(a[rows]).to(device) for a in (values, start))
            found.append(to_bytes(self.model.sample(*part, generator)).cpu().numpy())
        return np.concatenate(found)

    def _controls(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.pairs == "random" or self.condition == "removed":
            return rng.choice(self.atlas.controls, size=len(values))
        return self.atlas.nearby_controls(self.atlas.locate(values)[0], rng)
