"""Expression of a spot: an encoder of its visible genes, and a head that reads out its hidden genes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from benchmark.model.masked import mse
from benchmark.model.trunk import Trunk

PREFIX = 2  # the summary token, then the depth token


def mlp(n_in: int, d: int) -> nn.Sequential:
    """Two layers: `[..., n_in]` → `[..., d]`."""
    return nn.Sequential(nn.Linear(n_in, d), nn.GELU(), nn.Linear(d, d))


class GeneEncoder(nn.Module):
    """Visible genes as tokens, after a summary token and a depth token.

    A gene's token is the gene's vector plus a function of its value less its mean over the training slides.
    """

    def __init__(self, gene_mean: Tensor, d: int, heads: int, layers: int):
        super().__init__()
        self.register_buffer("gene_mean", gene_mean.float())
        self.gene = nn.Embedding(len(gene_mean), d)
        self.value, self.depth = mlp(1, d), mlp(1, d)
        self.summary = nn.Parameter(torch.randn(d) * 0.02)
        self.trunk = Trunk(d, heads, layers)

    def forward(self, values: Tensor, genes: Tensor, valid: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens `[n, 2 + t, d]`, the summary first, and which of them are no padding, bool `[n, 2 + t]`.

        Args:
            values, genes, valid: of the visible genes, `[n, t]` each.
            depth: log1p of the spot's counts, `[n, 1]`.
        """
        tokens = self.gene(genes) + self.value((values - self.gene_mean[genes])[..., None])
        prefix = torch.stack([self.summary.expand(len(depth), -1), self.depth(depth)], dim=1)
        valid = pad(valid, (PREFIX, 0), value=True)
        return self.trunk(torch.cat([prefix, tokens], dim=1), valid), valid


class GeneHead(nn.Module):
    """Reads the expression of any genes out of a unit's vector. It shares the encoder's table of genes."""

    def __init__(self, encoder: GeneEncoder, d: int):
        super().__init__()
        self.query = nn.Linear(d, d)
        self.offset = nn.Embedding(len(encoder.gene_mean), 1)
        nn.init.zeros_(self.offset.weight)
        nn.init.normal_(self.query.weight, std=0.1 * d**-0.5)

    def forward(self, z: Tensor, genes: Tensor, encoder: GeneEncoder) -> Tensor:
        """Expression less the gene's mean: `z` `[n, d]`, `genes` `[n, q]` → `[n, q]`."""
        product = (encoder.gene(genes) @ self.query(z)[..., None]).squeeze(-1)
        return product / z.shape[-1] ** 0.5 + self.offset(genes).squeeze(-1)

    def loss(self, z: Tensor, query: Tensor, wanted: Tensor, asked: Tensor, encoder: GeneEncoder) -> Tensor:
        """Mean squared error of the genes `query` with the values `wanted`, over those that are `asked`."""
        return mse(self(z, query, encoder), wanted - encoder.gene_mean[query], asked)
