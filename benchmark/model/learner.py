"""A unit with its model as a method: fit within a budget, embed every spot of a slide, reconstruct hidden spots."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import anndata as ad
import numpy as np
import torch

from benchmark.budget import Budget, Meter
from benchmark.channels import moments, top_variance
from benchmark.corpus import Corpus
from benchmark.errors import UnitBenchError, nearest
from benchmark.files import write_atomic
from benchmark.model.masked import Masked, MaskedGenes, MaskedSpots
from benchmark.model.trunk import PRESETS
from benchmark.pretrain import Unit, pretrain, tensors
from benchmark.units.batch import Batch
from benchmark.units.expression import Field
from benchmark.units.expression import field as make_field

INFERENCE_TOKENS = 8192


@dataclass
class Learner:
    """Pretrains the trunk of `preset` on samples of one unit.

    At embedding and reconstruction all slides show the same channels: the genes of greatest variance over the training
    slides. A spot that several crops hold gets the mean over them.
    """

    sampler: Unit
    preset: str = "tiny"
    model: Masked | None = field(default=None, repr=False)
    _panel: np.ndarray | None = field(default=None, repr=False)

    def check(self, corpus: Corpus) -> None:
        """Raises UnitBenchError where these settings cannot be fitted to the corpus; quick, so that no arm need begin.

        A unit that has a `check(corpus)` is asked too.
        """
        if self.preset not in PRESETS:
            raise UnitBenchError(f"preset {self.preset!r}", "unknown", nearest(self.preset, PRESETS))
        if self._n_channels(corpus) > len(corpus.genes):
            raise UnitBenchError(
                f"{self.sampler.name} unit",
                f"{self._n_channels(corpus)} channels of {len(corpus.genes)} genes",
                "set fewer channels",
            )
        if check := getattr(self.sampler, "check", None):
            check(corpus)

    def fit(self, corpus: Corpus, budget: Budget, seed: int) -> Meter | None:
        """Spend the budget on the corpus; an amount of 0 leaves the model as it was drawn: the untrained control."""
        self.check(corpus)
        preset = PRESETS[self.preset]
        mean, _ = moments(corpus)
        self._panel = top_variance(corpus, self._n_channels(corpus))
        torch.manual_seed(seed)
        self.model = module_for(self.unit)(torch.tensor(mean, dtype=torch.float32), preset)
        spent = None
        if budget.amount > 0:
            spent = pretrain(self.model, self.sampler, corpus, budget, seed, preset.learning_rate)
        self.model.eval()
        return spent

    @property
    def unit(self) -> str:
        return self.sampler.name

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def save(self, path: Path) -> None:
        """Weights as safetensors."""
        from safetensors.torch import save_file

        write_atomic(path, lambda temporary: save_file(self.model.state_dict(), temporary))

    @torch.inference_mode()
    def embed(self, slide: ad.AnnData) -> np.ndarray:
        """`[n_spots, d]`, nothing masked, the same for the same slide."""
        mean = self._mean(slide.n_obs)
        for part in self._parts(make_field(slide)):
            h = self.model.embed(tensors(part, self._device))
            mean.add(part.spot[:, : h.shape[1]], h)  # the spot unit gives one vector for all tokens of a spot
        return mean.values()

    @torch.inference_mode()
    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        """log1p of counts per 10,000 in the `hidden` spots `[n_spots]`, from the others; `[n_spots, n_genes]`.

        The head is linear, so the mean over crops is taken before it.
        """
        mean = self._mean(slide.n_obs)
        for part in self._parts(make_field(slide)):
            there = part.valid & hidden[part.spot]
            if there.any():
                batch = tensors(part, self._device)
                masked = torch.from_numpy(there).to(self._device)[..., None].expand_as(batch["values"])
                mean.add(np.where(there, part.spot, -1), self.model.encode(batch, masked))
        predicted = np.zeros(slide.shape, np.float32)
        h = torch.from_numpy(mean.values()[hidden]).to(self._device)[None]
        genes = torch.arange(slide.n_vars, device=self._device)[None, None]
        predicted[hidden] = (self.model.read_out(h, genes) + self.model.gene_mean)[0].float().cpu().numpy()
        return predicted

    def _mean(self, n_spots: int) -> SpotMean:
        return SpotMean(n_spots, PRESETS[self.preset].d)

    def _n_channels(self, corpus: Corpus) -> int:
        return getattr(self.sampler, "n_channels", None) or len(corpus.genes)

    @property
    def _device(self) -> torch.device:
        return self.model.gene_mean.device

    def _parts(self, field: Field) -> list[Batch]:
        """The samples that cover a slide, in batches that fit in memory."""
        samples = self.sampler.cover(field, self._panel)
        n = max(1, INFERENCE_TOKENS // samples.valid.shape[1])
        return [samples[i : i + n] for i in range(0, len(samples), n)]


class SpotMean:
    """Mean vector of each spot over the samples that show it, summed in float64."""

    def __init__(self, n_spots: int, d: int):
        self._total, self._count = np.zeros((n_spots, d)), np.zeros((n_spots, 1))

    def add(self, spot: np.ndarray, h: torch.Tensor) -> None:
        """Vectors `h` `[n, t, d]` of the spots `[n, t]`; where that is -1 there is none."""
        there = spot >= 0
        np.add.at(self._total, spot[there], h.float().cpu().numpy()[there])
        np.add.at(self._count, spot[there], 1)

    def values(self) -> np.ndarray:
        """`[n_spots, d]`; zeros for a spot that no sample shows."""
        return (self._total / np.maximum(self._count, 1)).astype(np.float32)


def module_for(unit: str) -> type[Masked]:
    """Tokens are genes in the spot unit, spots in the others."""
    return MaskedGenes if unit == "spot" else MaskedSpots
