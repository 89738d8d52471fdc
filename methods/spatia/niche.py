"""The niche: a spot's neighbours as tokens with their places, pooled to a query that may look at the niche's image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.model.trunk import Trunk
from methods.spatia.fusion import CrossAttention
from methods.spatia.genes import mlp

LAYERS = 2


class Niche(nn.Module):
    """A learned token goes first, so that a spot without neighbours has a niche too.

    Args:
        pooling: "attention" reads that token; "mean" and "sum" are taken over the neighbours.
        image_d: width of the tokens of the niche's image; None: it is not looked at.
    """

    def __init__(self, d: int, heads: int, pooling: str, image_d: int | None):
        super().__init__()
        self.pooling = pooling
        self.neighbour, self.place = nn.Linear(d, d), mlp(2, d)
        self.first = nn.Parameter(torch.randn(d) * 0.02)
        self.trunk = Trunk(d, heads, LAYERS)
        self.norm = nn.LayerNorm(d)
        self.image = CrossAttention(d, image_d, heads) if image_d else None

    def forward(self, vectors: Tensor, offset: Tensor, there: Tensor, image: Tensor | None = None) -> Tensor:
        """`[n, d]`.

        Args:
            vectors: of the neighbours, `[n, k, d]`.
            offset: (y, x) from the spot to each, in pitches, `[n, k, 2]`.
            there: which neighbours there are, `[n, k]`.
            image: tokens of the niche's image, `[n, b, image_d]`.
        """
        tokens = self.neighbour(vectors) + self.place(offset)
        first = self.first.to(tokens.dtype).expand(len(tokens), 1, -1)
        tokens = self.trunk(torch.cat([first, tokens], dim=1), torch.cat([there.new_ones(len(there), 1), there], dim=1))
        if self.pooling == "attention":
            pooled = tokens[:, 0]
        else:
            pooled = (tokens[:, 1:] * there[..., None]).sum(dim=1)
            pooled = pooled / there.sum(dim=1, keepdim=True).clamp(min=1) if self.pooling == "mean" else pooled
        pooled = self.norm(pooled)
        return pooled if self.image is None else self.image(pooled[:, None], image).squeeze(1)
