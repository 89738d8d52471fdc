"""The method `context`: tokens, objective, trunk and read-out are the same for every size of a sample."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt

from benchmark.core.contracts import UnitName
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.components import Genes, Normalisation
from benchmark.model.trunk import PRESETS
from benchmark.training.budget import Budget
from benchmark.training.learner import INFERENCE_TOKENS, SpotMean
from benchmark.training.loop import pretrain, tensors
from benchmark.training.trained import Trained
from benchmark.units.expression import field as field_of
from methods.context import tokens
from methods.context.asked import Asked, asked, in_training
from methods.context.explained import Explained
from methods.context.expressed import expressed
from methods.context.model import ContextModel
from methods.context.objectives import Objective
from methods.context.samples import Samples, samples
from methods.context.unit import ContextUnit, Passes, Side, cover, unit_name

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass
class Context(Trained):
    """One recipe, whose sample is a crop of any side.

    Attributes:
        side: cells along a side of a crop; 1: single spots; "slide": all spots of a slide.
        normalisation: each gene is scaled within its slide ("slide_z"), or over all training spots ("log").
        n_genes: genes that are used.
        genes: the rule that chooses them over the training slides; see `Genes`.
        objective: what the trunk learns by; see `Objective`.
        hidden: share of the spots of a sample that each of its two views hides.
        learning_rate: the greatest on the way; None: that of the preset.
        passes: crops in which a spot is read; see `cover`.
        preset: size of the trunk.
        tokeniser, model: once `fit` has made them.
        snapshots: weights on the way of the training, with the FLOPs spent until then.
    """

    side: Side = 8
    normalisation: Normalisation = "slide_z"
    n_genes: PositiveInt = 2000
    genes: Genes = "moran"
    objective: Objective = "neighbourhood"
    hidden: Annotated[float, Field(ge=0, le=0.5)] = 0.5
    learning_rate: PositiveFloat | None = None
    passes: Passes = 16
    preset: str = "tiny"
    tokeniser: tokens.Tokeniser | None = field(default=None, init=False, repr=False)
    model: ContextModel | None = field(default=None, init=False, repr=False)
    snapshots: list[tuple[float, dict[str, torch.Tensor]]] = field(default_factory=list, init=False, repr=False)
    panels: ClassVar[bool] = True

    @property
    def unit(self) -> UnitName:
        return unit_name(self.side)

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: an unknown preset, or a side for which no crop is full enough."""
        if self.preset not in PRESETS:
            raise UnitBenchError(f"preset {self.preset!r}", "unknown", nearest(self.preset, PRESETS))
        ContextUnit.of(corpus, self.side, PRESETS[self.preset].d, ())

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> None:
        """Fit the tokens and spend the budget. An amount of 0 gives the untrained control: the same tokens, and a
        trunk with random weights."""
        self.check(corpus)
        self._corpus = corpus
        preset = PRESETS[self.preset]
        self.tokeniser, parts = tokens.fit(corpus, self.normalisation, self.n_genes, self.genes)
        of_genes = expressed(corpus, self.tokeniser, self.objective)
        torch.manual_seed(seed)
        self.model = ContextModel(self.tokeniser.n_components, preset, self.objective, self.hidden, of_genes)
        if budget.amount > 0:
            unit = ContextUnit.of(corpus, self.side, preset.d, parts, of_genes, self.model.work_beside)
            learning_rate = self.learning_rate or preset.learning_rate
            self.snapshots = pretrain(self.model, unit, corpus, budget, seed, learning_rate).snapshots
        self.model.eval()

    @torch.inference_mode()
    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]`: all genes, nothing hidden; the mean over the crops that show a spot."""
        return self._read(slide, self.tokeniser.scores(slide), np.zeros(slide.n_obs, bool))

    @torch.inference_mode()
    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000, `[n_spots, n_genes]`; only the rows of the `hidden` spots `[n_spots]` are filled.

        What the head predicts of a hidden spot, the scores around it, as expression.
        """
        seen = slide[~hidden]
        scores = np.zeros((slide.n_obs, self.tokeniser.n_components), np.float32)
        scores[~hidden] = self.tokeniser.scores(seen)
        vectors = torch.from_numpy(self._read(slide, scores, hidden)[hidden]).to(self._device)
        predicted = np.zeros(slide.shape, np.float32)
        predicted[hidden] = self.tokeniser.expression(self.model.head(vectors).cpu().numpy(), seen)
        return predicted

    def _read(self, slide: ad.AnnData, scores: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """The vector of each spot, `[n_spots, d]`, the mean over the samples that show it.

        Args:
            scores: of all genes, in one part, `[n_spots, n_components]`.
        """
        laid, mean = field_of(slide), SpotMean(slide.n_obs, PRESETS[self.preset].d)
        for spots in cover(laid, self.side, self.passes, INFERENCE_TOKENS):
            batch = self._batch(samples(scores[:, None], laid.position, spots))
            mean.add(spots, self.model.embed(batch, torch.from_numpy(hidden[spots]).to(self._device) & batch["valid"]))
        return mean.values()

    @torch.inference_mode()
    def learned(self, slide: ad.AnnData) -> dict[str, float]:
        """R² of what the read-out head says, and of predictors that have learned nothing but their factors; see
        `Explained`. An objective without a target of its own has that of "neighbourhood": what a linear head, which
        teaches the trunk nothing, reads of it from the vectors."""
        found = Explained()
        for batch, draws in self._asked(slide):
            found.add(self.model, batch, draws)
            found.add_untaught(self.model, batch, draws)
        if not found.n:
            return {}
        settings = (self.side, self.normalisation, self.n_genes, self.genes, self.model.target, self.hidden)
        untaught = found.r2_untaught(in_training(self._corpus, *settings))
        return {"r2": found.r2()} | {f"r2_{kind}": value for kind, value in untaught.items()}

    @torch.inference_mode()
    def curve(self, slide: ad.AnnData) -> list[dict[str, float]]:
        """FLOPs spent and R², as `learned` has it, on the way of the training."""
        samples_of, on_the_way, points = [*self._asked(slide)], copy.deepcopy(self.model), []
        for flops, state in self.snapshots if samples_of else ():
            on_the_way.load_state_dict(state)
            found = Explained()
            for batch, draws in samples_of:
                found.add(on_the_way, batch, draws)
            points.append({"flops": flops, "r2": found.r2()})
        return points

    def _asked(self, slide: ad.AnnData) -> Asked:
        laid = field_of(slide)
        return asked(self.model, self.side, [(laid, self.tokeniser.parts(slide, laid))])

    def _batch(self, shown: Samples) -> dict[str, torch.Tensor]:
        return tensors(shown, self._device)

    @property
    def _device(self) -> torch.device:
        return self.model.reach.device
