"""The method `spatia`: pretraining within a budget, then embeddings, image features and imputed genes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.gene_selection import moments
from benchmark.data.tiles import View
from benchmark.training.budget import Budget, Meter
from benchmark.training.loop import pretrain, tensors
from benchmark.training.trained import Trained
from methods.spatia.inference import by_level, image_features
from methods.spatia.model import Spatia as Model
from methods.spatia.model import check_terms
from methods.spatia.presets import DIRECTIONS, JOINED, POOLING, PRESETS, Design, parts
from methods.spatia.sections import Surroundings, check_image, section
from methods.spatia.unit import SpatiaUnit

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

ABSENT = ("error", "declared")


class Spatia(Trained):
    """Every choice of the arms and their controls.

    Args:
        preset: sizes: "nano" (a CPU, seconds), "T0" (minutes), "T1", "T2" (a GPU; the image encoder is a ViT-base).
        levels: what a unit is read by: "gene", "image" or "cell" (both), and its context: "niche" (its neighbours'
            expression), "niche_image" (their fused vectors and the niche's image), "tissue"; joined by "-".
        microns: side of a spot's tile; `pixels`: the same in pixels, null: the preset's.
        cross_attention: whether genes and image are fused, or only their summaries joined.
        direction: "both", "image_to_gene" or "gene_to_image".
        w: weight of what crosses over; 0: nothing.
        k: neighbours in a niche; `window`: in place of it all within a square of so many µm.
        pooling: of the neighbours: "attention", "mean" or "sum".
        joined: an embedding is the levels' vectors side by side ("concat"), or the "sum" that the objective reads, in
            which a level of small weight is lost to a probe.
        mae: whether hidden patches of the image are an objective.
        width: of the gene encoder, in place of the preset's: the control that has another arm's size.
        mixed_units: whether niches and tissues are samples like spots, as in the authors' public code, and no levels.
        weights: a file of the image encoder's weights to start from; null: drawn by the seed.
        absent_image: a slide without an image is an "error", or "declared": its spots are seen as a learned token.
        shuffle_images, shuffle_neighbours: controls: within each slide.
    """

    unit = "spot"

    def __init__(
        self,
        preset: str = "T0",
        levels: str = "cell-niche_image-tissue",
        microns: float = 100.0,
        pixels: int | None = None,
        cross_attention: bool = True,
        direction: str = "both",
        w: float = 1.0,
        k: int = 8,
        window: float | None = None,
        pooling: str = "attention",
        joined: str = "concat",
        mae: bool = True,
        mixed_units: bool = False,
        width: int | None = None,
        weights: str | None = None,
        absent_image: str = "error",
        shuffle_images: bool = False,
        shuffle_neighbours: bool = False,
    ):
        for option, value, known in (
            ("preset", preset, PRESETS),
            ("direction", direction, DIRECTIONS),
            ("pooling", pooling, POOLING),
            ("joined", joined, JOINED),
            ("absent_image", absent_image, ABSENT),
        ):
            if value not in known:
                raise UnitBenchError(f"spatia: {option} {value!r}", "unknown", nearest(value, known))
        declared = absent_image == "declared"
        design = Design(
            **parts(levels),
            cross_attention=cross_attention,
            direction=direction,
            w=w,
            pooling=pooling,
            mae=mae,
            absent=declared,
        )
        size = PRESETS[preset]
        size = replace(size, d=width or size.d, pixels=pixels or size.pixels)
        view = View(microns, size.pixels) if design.image else None
        if mixed_units and levels != "cell":
            raise UnitBenchError("spatia: mixed_units", f"units beside levels {levels!r}", 'set levels to "cell"')
        around = Surroundings(
            k, window, view, design.niche_image, declared, mixed_units, shuffle_images, shuffle_neighbours
        )
        self.sampler = SpatiaUnit(size, design, around)
        self.joined = joined
        self.weights = weights
        self.model: Model | None = None
        if not design.image:
            self.embed_image = None
        if not design.gene:
            self.impute = None

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide without an image, no objective, no weights, or sizes that do not fit."""
        size, design = self.sampler.size, self.sampler.design
        if self.weights and not Path(self.weights).is_file():
            raise UnitBenchError(self.weights, "no such file", "save the image encoder's weights there")
        for name, length, part in (("pixels", size.pixels, size.patch), ("width", size.d, size.heads)):
            if length % part:
                raise UnitBenchError(f"spatia: {name} {length}", f"not a multiple of {part}", "take one that is")
        if not design.terms:
            raise UnitBenchError("spatia", "no objective is left", "set mae to true, or add a level that reads genes")
        for slide in corpus if design.image else ():
            check_image(slide, self.sampler.around)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the corpus; an amount of 0 leaves the model as it was drawn: the untrained control."""
        self.check(corpus)
        mean, _ = moments(corpus)
        self.sampler = self.sampler.fit(corpus)
        size = self.sampler.size
        torch.manual_seed(seed)
        self.model = Model(torch.tensor(mean, dtype=torch.float32), size, self.sampler.design)
        if self.weights and self.sampler.design.image:
            self.model.image.load(Path(self.weights))
        spent = None
        if budget.amount > 0:
            self._check_terms(corpus, seed)
            spent = pretrain(self.model, self.sampler, corpus, budget, seed, size.learning_rate)
        self.model.eval()
        return spent

    def _check_terms(self, corpus: Corpus, seed: int) -> None:
        batch = tensors(self.sampler.draw(corpus, self.sampler.samples_per_step, np.random.default_rng(seed)))
        check_terms(self.model, batch, self.model.draw_hidden(batch, torch.Generator().manual_seed(seed)))

    @torch.inference_mode()
    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]`, or `d` for each level, nothing hidden, the same for the same slide."""
        found = by_level(self.model, section(slide, self.sampler.around), self.sampler.rank)
        z = torch.cat(list(found.values()), dim=1) if self.joined == "concat" else self.model.join(**found)
        return z.float().cpu().numpy()

    def embed_image(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]`: the mean of the image encoder's tokens; no expression is read."""
        around = replace(self.sampler.around, niche=False, declared=False)
        return image_features(self.model, section(slide, around)).float().cpu().numpy()

    @torch.inference_mode()
    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000 of the genes `hidden` `[n_hidden]`, whose counts the slide lacks, from the others.

        Args:
            slide: with the library size of all counts in `obs["library_size"]`.

        Returns:
            `[n_spots, n_hidden]`.
        """
        model = self.model
        z = model.join(**by_level(model, section(slide, self.sampler.around), self.sampler.rank))
        genes = torch.as_tensor(np.ascontiguousarray(hidden), device=z.device)[None]
        found = model.head(z, genes.expand(len(z), -1), model.genes) + model.genes.gene_mean[genes]
        return found.float().cpu().numpy()
