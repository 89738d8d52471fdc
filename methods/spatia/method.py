"""The method `spatia`: pretraining within a budget, then embeddings, image features and imputed genes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import PositiveFloat, PositiveInt

from benchmark.core.errors import UnitBenchError
from benchmark.data.gene_selection import moments
from benchmark.data.tiles import View
from benchmark.training.budget import Budget, Meter
from benchmark.training.loop import pretrain, tensors
from benchmark.training.trained import Trained
from methods.spatia.inference import by_level, image_features
from methods.spatia.model import Spatia as Model
from methods.spatia.model import check_terms
from methods.spatia.presets import Design, Direction, Pooling, parts, size_of
from methods.spatia.sections import Surroundings, check_image, section
from methods.spatia.unit import SpatiaUnit

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass
class Spatia(Trained):
    """Every choice of the arms and their controls.

    Attributes:
        preset: sizes: "nano" (a CPU, seconds), "T0" (minutes), "T1", "T2" (a GPU; the image encoder is a ViT-base).
        levels: names joined by "-". The first tells what a spot is read by: "gene", "image" or "cell" (both). The
            others are its context: "niche" (its neighbours' expression), "niche_image" (its neighbours' fused vectors
            and the niche's image) and "tissue".
        microns: side of a spot's tile.
        pixels: the same side in pixels; null: the preset's.
        cross_attention: whether genes and image are fused; else only their summaries are joined.
        direction: "both", "image_to_gene" or "gene_to_image".
        w: weight of what crosses over; 0: nothing does.
        k: neighbours in a niche.
        window: side of a square in µm. A niche then holds the spots in this square, and `k` is not used. null: none.
        pooling: how neighbours are pooled: "attention", "mean" or "sum".
        joined: an embedding is the levels' vectors side by side ("concat"), or the "sum" that the objective reads. In
            the sum, a probe hardly sees a level of small weight.
        mae: whether hidden patches of the image are an objective.
        mixed_units: whether niches and tissues are samples as spots are, as in the authors' public code; no levels.
        width: width of the gene encoder in place of the preset's, for a control of the same size as another arm.
        weights: a file with weights of the image encoder to start from; null: they are drawn by the seed.
        absent_image: "error", or "declared": the spots of a slide without an image are seen as one learned token.
        shuffle_images: control: the tiles of each slide change spots.
        shuffle_neighbours: control: the spots of each slide change places.
        sampler: the unit.
        model: the module, once `fit` has made it.
    """

    preset: str = "T0"
    levels: str = "cell-niche_image-tissue"
    microns: PositiveFloat = 100.0
    pixels: PositiveInt | None = None
    cross_attention: bool = True
    direction: Direction = "both"
    w: float = 1.0
    k: PositiveInt = 8
    window: PositiveFloat | None = None
    pooling: Pooling = "attention"
    joined: Literal["concat", "sum"] = "concat"
    mae: bool = True
    mixed_units: bool = False
    width: PositiveInt | None = None
    weights: str | None = None
    absent_image: Literal["error", "declared"] = "error"
    shuffle_images: bool = False
    shuffle_neighbours: bool = False
    sampler: SpatiaUnit = field(init=False, repr=False)
    model: Model | None = field(default=None, init=False, repr=False)

    unit = "spot"

    def __post_init__(self) -> None:
        """Raises UnitBenchError: an unknown preset or level, or options that do not go together."""
        declared = self.absent_image == "declared"
        design = Design(
            **parts(self.levels),
            cross_attention=self.cross_attention,
            direction=self.direction,
            w=self.w,
            pooling=self.pooling,
            mae=self.mae,
            absent=declared,
        )
        size = size_of(self.preset, self.width, self.pixels)
        if self.mixed_units and self.levels != "cell":
            raise UnitBenchError("spatia: mixed_units", f"units beside levels {self.levels!r}", 'set levels to "cell"')
        around = Surroundings(
            self.k,
            self.window,
            View(self.microns, size.pixels) if design.image else None,
            design.niche_image,
            declared,
            self.mixed_units,
            self.shuffle_images,
            self.shuffle_neighbours,
        )
        self.sampler = SpatiaUnit(size, design, around)
        if not design.image:
            self.embed_image = None
        if not design.gene:
            self.impute = None

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: a slide without an image, no objective, no weights, or sizes that do not fit."""
        size, design = self.sampler.size, self.sampler.design
        if self.weights and not Path(self.weights).is_file():
            raise UnitBenchError(self.weights, "no such file", "give the path of the image encoder's weights")
        for name, length, part in (("pixels", size.pixels, size.patch), ("width", size.d, size.heads)):
            if length % part:
                raise UnitBenchError(f"spatia: {name} {length}", f"not a multiple of {part}", "take one that is")
        if not design.terms:
            raise UnitBenchError("spatia", "no objective is left", "set mae to true, or add a level that reads genes")
        for slide in corpus if design.image else ():
            check_image(slide, self.sampler.around)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the corpus. An amount of 0 leaves the model untrained.

        Returns:
            The meter; None where nothing was spent.
        """
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

    @torch.inference_mode()
    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]`, or `d` for each level; nothing is hidden; the same for the same slide."""
        levels = self._levels(slide)
        z = torch.cat(list(levels.values()), dim=1) if self.joined == "concat" else self.model.join(**levels)
        return z.float().cpu().numpy()

    def embed_image(self, slide: ad.AnnData) -> np.ndarray:
        """The mean of the image encoder's tokens, `[n_spots, d]`. No expression is read."""
        around = replace(self.sampler.around, niche=False, declared=False)
        return image_features(self.model, section(slide, around)).float().cpu().numpy()

    @torch.inference_mode()
    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000 of the genes `hidden` `[n_hidden]`, from the other genes; `[n_spots, n_hidden]`.

        Args:
            slide: without counts of the hidden genes.
        """
        model = self.model
        z = model.join(**self._levels(slide))
        genes = torch.as_tensor(np.ascontiguousarray(hidden), device=z.device)[None]
        values = model.head(z, genes.expand(len(z), -1), model.genes) + model.genes.gene_mean[genes]
        return values.float().cpu().numpy()

    def _levels(self, slide: ad.AnnData) -> dict[str, torch.Tensor]:
        """The vectors of every spot at each level, `[n_spots, d]` each."""
        return by_level(self.model, section(slide, self.sampler.around), self.sampler.rank)

    def _check_terms(self, corpus: Corpus, seed: int) -> None:
        """Raises UnitBenchError: a term of the loss moves no weight."""
        batch = tensors(self.sampler.draw(corpus, self.sampler.samples_per_step, np.random.default_rng(seed)))
        check_terms(self.model, batch, self.model.draw_hidden(batch, torch.Generator().manual_seed(seed)))
