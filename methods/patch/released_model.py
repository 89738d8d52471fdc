"""The model of arXiv 2603.13432 as its code was released. Its quirks are kept, so that they can be measured."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.model.masked import RATIOS, mse
from benchmark.model.trunk import Preset


class Released(nn.Module):
    """The cells of a square crop as tokens. These quirks are kept:

    - a token is the sum of the genes' vectors plus the sum of a function of the values, so no value belongs to a gene;
    - a hidden value is a zero, and a spot without any value left is an empty cell;
    - empty cells are tokens of zeros, which attention sees;
    - layers are post-norm with dropout, and the two layers of the decoder have no positions;
    - the head predicts slots instead of genes, and its predictions are at least 0;
    - an embedding is the encoder's output, and the encoder is not given the genes then (`ids`).

    Args:
        gene_mean: mean of each gene over the training slides, `[n_genes]`.
        size: cells along a side of a crop.
        n_channels: genes of a crop.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset, size: int, n_channels: int):
        super().__init__()
        d, self.size = preset.d, size
        self.register_buffer("gene_mean", gene_mean.float())
        self.gene = nn.Embedding(len(gene_mean), d)
        self.scalar, self.value = nn.Linear(1, d), nn.Linear(d, d)
        self.position = nn.Parameter(torch.randn(size**2, d) * 0.02)
        self.encoder, self.decoder = (
            nn.ModuleList(
                nn.TransformerEncoderLayer(d, preset.heads, 4 * d, dropout=0.1, batch_first=True) for _ in range(layers)
            )
            for layers in (preset.layers, 2)
        )
        width = 2 * d
        steps = [nn.Linear(d, width), nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, n_channels)]
        self.slots = nn.Sequential(*(layer for linear in steps for layer in (linear, nn.ReLU())))

    def encode(self, batch: dict[str, Tensor], hidden: Tensor, ids: bool = False) -> Tensor:
        """`[b, size², d]`: the tokens of the batch, then the empty cells. `ids`: whether the genes are given."""
        values = batch["values"].masked_fill(hidden, 0)
        genes = batch["genes"] if ids else torch.zeros_like(batch["genes"])
        cell = batch["cell"][..., 0] * self.size + batch["cell"][..., 1]
        tokens = self.value(self.scalar(values[..., None]).relu().sum(2)) + self.gene(genes).sum(2)
        tokens = (tokens + self.position[cell]) * (values.sum(-1, keepdim=True) != 0)
        h = nn.functional.pad(tokens, (0, 0, 0, max(0, self.size**2 - tokens.shape[1])))
        for layer in self.encoder:
            h = layer(h)
        return h

    def slots_of(self, h: Tensor) -> Tensor:
        """The value in each slot of the channels: `[b, t, d]` → `[b, t, c]`, at least 0."""
        for layer in self.decoder:
            h = layer(h)
        return self.slots(h)

    def forward(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """Mean squared error over the hidden values."""
        t = batch["values"].shape[1]
        slots = self.slots_of(self.encode(batch, hidden, ids=True))[:, :t]
        return mse(slots, batch["values"], hidden, batch.get("counts"))

    @staticmethod
    def counts(batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """How many values are hidden, a scalar."""
        return hidden.sum()

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """`[b, t, d]`, nothing hidden."""
        t = batch["values"].shape[1]
        return self.encode(batch, torch.zeros_like(batch["values"], dtype=torch.bool))[:, :t]

    @staticmethod
    def draw_hidden(batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """What a step hides, bool `[b, t, c]`: a share of each spot's values, drawn from `RATIOS`."""
        values, device = batch["values"], batch["values"].device
        ratios = torch.tensor(RATIOS, device=device)
        ratio = ratios[torch.randint(len(ratios), (*values.shape[:2], 1), generator=generator, device=device)]
        return (torch.rand(values.shape, generator=generator, device=device) < ratio) & batch["valid"][..., None]
