"""Tokens as in the released code of arXiv 2603.13432: genes and values are summed apart."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.model.masked import MaskedSpots, Masking
from benchmark.model.trunk import Preset


class BagOfGenes(MaskedSpots):
    """A token is the sum of the visible genes' vectors plus the sum of a function of the visible values.

    So a token does not tell which gene has which value.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset, masking: Masking = "mixed"):
        super().__init__(gene_mean, preset, masking)
        self.scalar = nn.Linear(1, preset.d)

    def shown(self, batch: dict[str, Tensor], hidden: Tensor, table: Tensor) -> Tensor:
        """`[b, t, d]`. `hidden` bool `[b, t, c]`; `table` `[b, c, d]`: the vectors of the channels."""
        # The values are summed before the second layer. That layer is linear: the sum is the same, for less work.
        values = self.scalar(batch["values"][..., None]).relu().masked_fill(hidden[..., None], 0).sum(2)
        return self.value(values * hidden.shape[-1] ** -0.5) + (~hidden).to(table.dtype) @ table
