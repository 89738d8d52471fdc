"""The niche: a spot's neighbours as tokens, pooled to one vector, which may then read the niche's image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.model.trunk import Trunk
from methods.spatia.fusion import CrossAttention
from methods.spatia.genes import mlp
from methods.spatia.presets import Pooling

LAYERS = 2


class Niche(nn.Module):
    """A learned token comes first, so that a spot without neighbours has a niche too.

    Args:
        pooling: "attention" reads the learned token; "mean" and "sum" are taken over the neighbours.
        image_d: width of the tokens of the niche's image; None: the image is not read.
    """

    def __init__(self, d: int, heads: int, pooling: Pooling, image_d: int | None):
        super().__init__()
        self.pooling = pooling
        self.neighbour, self.position = nn.Linear(d, d), mlp(2, d)
        self.first = nn.Parameter(torch.randn(d) * 0.02)
        self.trunk = Trunk(d, heads, LAYERS)
        self.norm = nn.LayerNorm(d)
        self.image = CrossAttention(d, image_d, heads) if image_d else None

    def forward(self, vectors: Tensor, offset: Tensor, valid: Tensor, image: Tensor | None = None) -> Tensor:
        """`[n, d]`.

        Args:
            vectors: of the neighbours, `[n, k, d]`.
            offset: (y, x) from the spot to each neighbour, in pitches, `[n, k, 2]`.
            valid: which neighbours are no padding, `[n, k]`.
            image: tokens of the niche's image, `[n, b, image_d]`.
        """
        tokens = self.neighbour(vectors) + self.position(offset)
        first = self.first.to(tokens.dtype).expand(len(tokens), 1, -1)
        tokens = self.trunk(torch.cat([first, tokens], dim=1), torch.cat([valid.new_ones(len(valid), 1), valid], dim=1))
        if self.pooling == "attention":
            pooled = tokens[:, 0]
        else:
            pooled = (tokens[:, 1:] * valid[..., None]).sum(dim=1)
            pooled = pooled / valid.sum(dim=1, keepdim=True).clamp(min=1) if self.pooling == "mean" else pooled
        pooled = self.norm(pooled)
        return pooled if self.image is None else self.image(pooled[:, None], image).squeeze(1)
