"""A unit with its model as a method: fit within a budget, embed every spot of a slide, reconstruct hidden spots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.core.contracts import Unit, UnitName, offer
from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data.gene_selection import moments
from benchmark.data.pages import give_back
from benchmark.model.masked import Masked, MaskedGenes, MaskedSpots
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training.budget import Budget, Meter
from benchmark.training.loop import cosine, pretrain, tensors
from benchmark.training.trained import Trained
from benchmark.units.expression import field as make_field

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

INFERENCE_TOKENS = 8192


@dataclass
class Learner(Trained):
    """Pretrains a module of the size `preset` on samples of one unit.

    A slide is embedded from samples like those of pretraining: the same rule chooses their genes. A spot that several
    samples show gets the mean over them.

    Attributes:
        sampler: the unit; it must have `fit`, `lay` and `cover` of `UnitOptions`.
        module: makes the module from the training slides' gene means `[n_genes]` and the preset; None: `module_for`.
        schedule: share of the learning rate at a fraction of the budget.
        donors: share of the training donors whose slides are used. The seed draws them.
        panels: whether the module leaves out what was not measured, as those of `module_for` do.
    """

    sampler: Unit
    preset: str = "tiny"
    module: Callable[[torch.Tensor, Preset], Masked] | None = None
    schedule: Callable[[float], float] = cosine
    donors: float = 1.0
    panels: bool = True
    model: Masked | None = field(default=None, repr=False)

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError: settings that these slides do not allow. Called before anything runs."""
        if self.preset not in PRESETS:
            raise UnitBenchError(f"preset {self.preset!r}", "unknown", nearest(self.preset, PRESETS))
        n_channels, n_genes = offer(self.sampler, "n_channels"), max(corpus.measured(s).sum() for s in corpus.names)
        if n_channels > n_genes:
            raise UnitBenchError(f"{self.unit} unit", f"{n_channels} channels of {n_genes} genes", "set fewer channels")
        if check := offer(self.sampler, "check"):
            check(corpus)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the corpus. An amount of 0 gives the untrained control: a model with random weights."""
        corpus = some_donors(corpus, self.donors, seed)
        self.check(corpus)
        preset = PRESETS[self.preset]
        mean, _ = moments(corpus)
        self.sampler = self.sampler.fit(corpus)
        torch.manual_seed(seed)
        make = self.module or module_for(self.unit)
        self.model = make(torch.tensor(mean, dtype=torch.float32), preset)
        spent = None
        if budget.amount > 0:
            spent = pretrain(self.model, self.sampler, corpus, budget, seed, preset.learning_rate, self.schedule)
        self.model.eval()
        return spent

    @property
    def unit(self) -> UnitName:
        return self.sampler.name

    @torch.inference_mode()
    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """Vectors `[n_spots, d]`, with nothing masked, the same for the same slide."""
        field, mean = self.sampler.lay(make_field(slide)), SpotMean(slide.n_obs, PRESETS[self.preset].d)
        for part in self.sampler.cover(field, INFERENCE_TOKENS):
            h = self.model.embed(tensors(part, self._device))
            t = h.shape[1]  # the spot unit gives one vector for all tokens of a spot
            mean.add(np.where(part.read, part.spot, -1)[:, :t], h)
            give_back()
        return mean.values()[field.owner]

    @torch.inference_mode()
    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000, `[n_spots, n_genes]`; only the rows of the `hidden` spots `[n_spots]` are filled.

        The mean over samples is taken before the head, which is linear.
        """
        field = self.sampler.lay(make_field(slide, hidden=hidden))
        mean = SpotMean(slide.n_obs, PRESETS[self.preset].d)
        wanted = np.isin(np.arange(slide.n_obs), field.owner[hidden])
        for part in self.sampler.cover(field, INFERENCE_TOKENS):
            read = part.read & wanted[part.spot]
            if read.any():
                batch = tensors(part, self._device)
                masked = torch.from_numpy(part.valid & hidden[part.spot]).to(self._device)
                h = self.model.encode(batch, (masked[..., None] & batch["measured"]).expand_as(batch["values"]))
                mean.add(np.where(read, part.spot, -1), self.model.decode(h, batch["valid"]))
        predicted = np.zeros(slide.shape, np.float32)
        h = torch.from_numpy(mean.values()[field.owner[hidden]]).to(self._device)[None]
        genes = torch.arange(slide.n_vars, device=self._device)[None, None]
        predicted[hidden] = (self.model.read_out(h, genes) + self.model.gene_mean)[0].float().cpu().numpy()
        return predicted

    @property
    def _device(self) -> torch.device:
        return self.model.gene_mean.device


class SpotMean:
    """Mean vector of each spot over the samples that show it."""

    def __init__(self, n_spots: int, d: int):
        self._total, self._count = torch.zeros(n_spots, d), torch.zeros(n_spots, 1)

    def add(self, spot: np.ndarray, h: torch.Tensor) -> None:
        """Add vectors `h` `[n, t, d]` of the spots `[n, t]`. A spot of -1 is skipped."""
        spot = torch.as_tensor(spot)
        shown = spot >= 0
        self._total.index_add_(0, spot[shown], h.float().cpu()[shown])
        self._count.index_add_(0, spot[shown], torch.ones(int(shown.sum()), 1))

    def values(self) -> np.ndarray:
        """Float32 `[n_spots, d]`; zeros for a spot that no sample shows. To be called once, at the end."""
        return self._total.div_(self._count.clamp_(min=1)).numpy()


def some_donors(corpus: Corpus, share: float, seed: int) -> Corpus:
    """The slides of a share of the donors, drawn by the seed, at least one. A larger share contains a smaller one."""
    if share == 1:
        return corpus
    donor = corpus.table["donor"]
    names = np.random.default_rng(seed).permutation(sorted(donor.unique()))
    kept = set(names[: max(1, round(share * len(names)))])
    return corpus.subset(slide for slide in corpus.names if donor[slide] in kept)


def module_for(unit: str) -> type[Masked]:
    """Tokens are genes in the spot unit, spots in the others."""
    return MaskedGenes if unit == "spot" else MaskedSpots
