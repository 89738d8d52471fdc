"""An example of a trained method: a spot is the sum of its genes' vectors; a network fills in hidden values from it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmark.training.loop import pretrain, tensors
from benchmark.training.trained import Trained
from benchmark.units.expression import field
from benchmark.units.spot import SpotUnit


class Bag(nn.Module):
    """Reads batches of the spot unit: `values` `[n, t, 1]` of `genes` `[n, t, 1]`, `valid` `[n, t]`."""

    def __init__(self, n_genes: int, width: int):
        super().__init__()
        self.gene = nn.Embedding(n_genes, width)
        self.mix = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def encode(self, batch: dict, shown: torch.Tensor) -> torch.Tensor:
        """A vector for each spot, `[n, width]`, from the values that are `shown` `[n, t]`."""
        return self.mix(((batch["values"] * shown[..., None]) * self.gene(batch["genes"]).squeeze(2)).sum(1))

    def draw_hidden(self, batch: dict, generator: torch.Generator) -> torch.Tensor:
        valid = batch["valid"]
        return (torch.rand(valid.shape, generator=generator, device=valid.device) < 0.3) & valid

    def forward(self, batch: dict, hidden: torch.Tensor) -> torch.Tensor:
        """The loss of a step: mean squared error of the hidden values."""
        spot = self.encode(batch, batch["valid"] & ~hidden)
        predicted = (self.gene(batch["genes"]).squeeze(2) * spot[:, None]).sum(-1)
        return ((predicted - batch["values"].squeeze(2)).square() * hidden).sum() / hidden.sum().clamp(min=1)


class GeneBag(Trained):  # which adds `save`
    """Fills in hidden values of a spot. `n_tokens`: genes that are shown at once; `width`: of a gene's vector."""

    unit = "spot"

    def __init__(self, n_tokens: int = 128, width: int = 64):
        self.n_tokens, self.width = n_tokens, width

    def fit(self, corpus, budget, seed):
        torch.manual_seed(seed)
        self.sampler, self.model = SpotUnit(self.n_tokens).fit(corpus), Bag(len(corpus.genes), self.width)
        return pretrain(self.model, self.sampler, corpus, budget, seed, 1e-3) if budget.amount else None

    @torch.inference_mode()
    def embed(self, slide):
        device = next(self.model.parameters()).device
        parts = (tensors(part, device) for part in self.sampler.cover(field(slide), 8192))
        return np.concatenate([self.model.encode(part, part["valid"]).cpu().numpy() for part in parts])
