"""The tissue: sampled units of a section as tokens with positions. Each unit reads them by cross-attention."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.model.trunk import Trunk, sincos
from methods.spatia.fusion import CrossAttention

LAYERS = 2
SIDE = 100.0  # length of a section's longer side, in the pitches that `sincos` is made for


class Tissue(nn.Module):
    """The level of the whole section."""

    def __init__(self, d: int, heads: int):
        super().__init__()
        self.token = nn.Linear(d, d)
        self.trunk = Trunk(d, heads, LAYERS)
        self.read = CrossAttention(d, d, heads)

    def tokens(self, vectors: Tensor, position: Tensor, valid: Tensor) -> Tensor:
        """Tokens of sampled units, `[g, t, d]`.

        Args:
            vectors: of the units, `[g, t, d]`.
            position: (y, x) in the section, from 0 to 1, `[g, t, 2]`.
            valid: which units are no padding, bool `[g, t]`.
        """
        return self.trunk(self.token(vectors) + sincos(position * SIDE, vectors.shape[-1]), valid)

    def forward(self, units: Tensor, position: Tensor, tokens: Tensor, valid: Tensor) -> Tensor:
        """What units read in the tokens of their section: units `[g, s, d]` at `position` `[g, s, 2]` → `[g, s, d]`."""
        return self.read(units + sincos(position * SIDE, units.shape[-1]), tokens, valid)
