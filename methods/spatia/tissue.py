"""The tissue: sampled units of a section as tokens at their places in it, which each unit reads by cross-attention."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.model.trunk import Trunk, sincos
from methods.spatia.fusion import CrossAttention

LAYERS = 2
SIDE = 100.0  # a section's longer side, in the pitches that `sincos` is made for


class Tissue(nn.Module):
    def __init__(self, d: int, heads: int):
        super().__init__()
        self.token = nn.Linear(d, d)
        self.trunk = Trunk(d, heads, LAYERS)
        self.read = CrossAttention(d, d, heads)

    def tokens(self, vectors: Tensor, place: Tensor, there: Tensor) -> Tensor:
        """Sampled units `[g, t, d]` at their `place` in the section `[g, t, 2]`, from 0 to 1 → `[g, t, d]`."""
        return self.trunk(self.token(vectors) + sincos(place * SIDE, vectors.shape[-1]), there)

    def forward(self, units: Tensor, place: Tensor, tokens: Tensor, there: Tensor) -> Tensor:
        """What units `[g, s, d]` at `place` `[g, s, 2]` find in the tokens of their section: `[g, s, d]`."""
        return self.read(units + sincos(place * SIDE, units.shape[-1]), tokens, there)
