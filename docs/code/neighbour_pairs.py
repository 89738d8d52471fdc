"""An example of a unit of one's own: a sample is a spot and one of its neighbours, for a contrastive loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import nn
from torch.nn import functional as F

from benchmark.data.normalisation import lognorm
from benchmark.training.loop import pretrain
from benchmark.training.trained import Trained
from benchmark.units.expression import values_of


@dataclass(frozen=True)
class Pairs:
    """`values` `[n, 2, n_genes]`: log1p of counts per 10,000 of two spots of the corpus, which are `spot` `[n, 2]`."""

    values: np.ndarray
    spot: np.ndarray
    inputs = ("values",)  # what becomes tensors of the batch

    @property
    def n_spots(self) -> int:
        return self.spot.size

    def __getitem__(self, rows: slice) -> Pairs:
        return Pairs(self.values[rows], self.spot[rows])


class PairUnit:
    """`nearest` `[n_spots, k]`: the neighbours of each spot of the corpus."""

    name = "spot"
    at_once = 512  # samples that are drawn together

    def __init__(self, corpus, k: int):
        self.nearest, offset = [], 0
        for slide in corpus:
            place = slide.obsm["position"]
            self.nearest.append(cKDTree(place).query(place, k + 1)[1][:, 1:] + offset)
            offset += slide.n_obs
        self.nearest = np.concatenate(self.nearest)

    def tokens_per_sample(self, corpus) -> float:
        return 2.0  # so a step of 512 tokens holds 256 pairs

    def draw(self, corpus, n: int, rng: np.random.Generator) -> Pairs:
        one = rng.integers(corpus.n_spots, size=n)
        spot = np.stack([one, rng.permuted(self.nearest[one], axis=1)[:, 0]], axis=1)
        return Pairs(values_of(corpus, spot.ravel()).toarray().reshape(n, 2, -1), spot)


class Alike(nn.Module):
    """InfoNCE: which of all second spots of a step is the neighbour of each first one?"""

    def __init__(self, n_genes: int, width: int):
        super().__init__()
        self.width, self.net = width, nn.Sequential(nn.Linear(n_genes, 128), nn.GELU(), nn.Linear(128, width))

    def draw_hidden(self, batch: dict, generator: torch.Generator) -> torch.Tensor:
        values = batch["values"]
        return torch.rand(values.shape, generator=generator, device=values.device) < 0.2

    def forward(self, batch: dict, hidden: torch.Tensor) -> torch.Tensor:
        z = F.normalize(self.net(batch["values"] * ~hidden), dim=-1)
        alike = z[:, 0] @ z[:, 1].T / 0.1
        return F.cross_entropy(alike, torch.arange(len(z), device=z.device))

    def extra_flops(self, batch: dict) -> int:
        """Of `normalize`: 3 a number, and twice as many backward."""
        n, two, _ = batch["values"].shape
        return 9 * n * two * self.width


class NeighbourPairs(Trained):
    """A network that is trained to tell which spots are neighbours. `width`: of a vector; `k`: neighbours of a spot."""

    unit = "spot"

    def __init__(self, width: int = 32, k: int = 6):
        self.width, self.k = width, k

    def fit(self, corpus, budget, seed):
        torch.manual_seed(seed)
        self.model = Alike(len(corpus.genes), self.width)
        return pretrain(self.model, PairUnit(corpus, self.k), corpus, budget, seed, 1e-3) if budget.amount else None

    @torch.inference_mode()
    def embed(self, slide):
        device = next(self.model.parameters()).device
        return self.model.net(torch.from_numpy(lognorm(slide.X).toarray()).to(device)).cpu().numpy()
