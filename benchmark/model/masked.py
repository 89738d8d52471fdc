"""Masked reconstruction, the objective of all units: hide part of the expression, predict it from the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.model.trunk import Preset, Trunk, sincos

RATIOS = (0.25, 0.5, 0.75, 1.0)  # share of its values that a spot hides; at 1 only its place is known


class Masked(nn.Module):
    """What the units have in common: gene table, trunk, head, centring on the training slides' gene means.

    Every gene has one vector, which binds its values at the input and reads them out at the head.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset):
        super().__init__()
        n_genes, d = len(gene_mean), preset.d
        self.register_buffer("gene_mean", gene_mean.float())
        self.gene = nn.Embedding(n_genes, d)
        self.offset = nn.Embedding(n_genes, 1)
        self.trunk = Trunk(preset)
        self.head = nn.Linear(d, d)
        nn.init.zeros_(self.offset.weight)
        nn.init.normal_(self.head.weight, std=0.1 * d**-0.5)

    def read_out(self, h: Tensor, genes: Tensor) -> Tensor:
        """Centred expression: `h` `[b, t, d]`, genes `[b, 1, c]` → `[b, t, c]`; genes `[b, t, 1]` → `[b, t, 1]`."""
        query, table = self.head(h), self.gene(genes)
        offset = self.offset(genes).squeeze(-1)
        if genes.shape[1] == 1:
            return query @ table.squeeze(1).transpose(1, 2) / query.shape[-1] ** 0.5 + offset
        return (query * table.squeeze(2)).sum(-1, keepdim=True) / query.shape[-1] ** 0.5 + offset

    def centred(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["values"] - self.gene_mean[batch["genes"]]


class MaskedSpots(Masked):
    """Tokens are spots (patch, slide): a token is the sum of its visible values, each times its gene's vector.

    Hidden values are left out of that sum and named in a second one, so a hidden spot is not taken for an empty one.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset):
        super().__init__(gene_mean, preset)
        self.value = nn.Linear(preset.d, preset.d)
        self.hidden = nn.Linear(preset.d, preset.d, bias=False)

    def encode(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """`[b, t, d]`: one vector a spot. `hidden` bool `[b, t, c]`."""
        x = self.centred(batch)
        table = self.gene(batch["genes"]).squeeze(1) * x.shape[-1] ** -0.5
        tokens = self.value(x.masked_fill(hidden, 0) @ table) + self.hidden(hidden.to(x.dtype) @ table)
        return self.trunk(tokens + sincos(batch["position"], tokens.shape[-1]), batch["valid"])

    def forward(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """Mean squared error over the hidden values."""
        return mse(self.read_out(self.encode(batch, hidden), batch["genes"]), self.centred(batch), hidden)

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """`[b, t, d]`, nothing hidden."""
        return self.encode(batch, torch.zeros_like(batch["values"], dtype=torch.bool))

    @staticmethod
    def draw_hidden(batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """A share of each spot's values, the share drawn from `RATIOS`; in half of the samples also a whole square."""
        values, position, valid = batch["values"], batch["position"], batch["valid"]
        b, t, _ = values.shape
        device = values.device
        ratio = torch.tensor(RATIOS, device=device)[
            torch.randint(len(RATIOS), (b, t, 1), generator=generator, device=device)
        ]
        hidden = torch.rand(values.shape, generator=generator, device=device) < ratio
        centre = torch.randint(2**31, (b, 1), generator=generator, device=device) % valid.sum(1, keepdim=True)
        centre = position.gather(1, centre[..., None].expand(-1, -1, 2))
        half = torch.rand((b, 1, 1), generator=generator, device=device) * 3
        use = torch.rand((b, 1), generator=generator, device=device) < 0.5
        square = ((position - centre).abs() <= half).all(-1) & use
        return (hidden | square[..., None]) & valid[..., None]


class MaskedGenes(Masked):
    """Tokens are the genes of one spot: gene vector plus value; a summary token sees them all (scGPT's CLS).

    The hidden values are predicted twice: by their own tokens and by the summary token, as scGPT does.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset):
        super().__init__(gene_mean, preset)
        d = preset.d
        self.value = nn.Sequential(nn.Linear(1, d), nn.GELU(), nn.Linear(d, d))
        self.unknown = nn.Parameter(torch.randn(d) * 0.02)
        self.summary = nn.Parameter(torch.randn(d) * 0.02)

    def encode(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """`[b, 1 + t, d]`: the summary token, then the genes. `hidden` bool `[b, t, 1]`."""
        value = torch.where(hidden, self.unknown, self.value(self.centred(batch)))
        tokens = self.gene(batch["genes"]).squeeze(2) + value
        summary = self.summary.expand(len(tokens), 1, -1)
        valid = nn.functional.pad(batch["valid"], (1, 0), value=True)
        return self.trunk(torch.cat([summary, tokens], dim=1), valid)

    def forward(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """Mean squared error over the hidden values, half from their tokens and half from the summary."""
        h, target, genes = self.encode(batch, hidden), self.centred(batch), batch["genes"]
        from_summary = self.read_out(h[:, :1], genes.transpose(1, 2)).transpose(1, 2)
        return (mse(self.read_out(h[:, 1:], genes), target, hidden) + mse(from_summary, target, hidden)) / 2

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """`[b, 1, d]`: the summary of each spot."""
        return self.encode(batch, torch.zeros_like(batch["values"], dtype=torch.bool))[:, :1]

    @staticmethod
    def draw_hidden(batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        values, device = batch["values"], batch["values"].device
        ratios = torch.tensor(RATIOS[:-1], device=device)
        ratio = ratios[torch.randint(len(ratios), (len(values), 1, 1), generator=generator, device=device)]
        return (torch.rand(values.shape, generator=generator, device=device) < ratio) & batch["valid"][..., None]


def mse(predicted: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """Mean squared error over `where`; in float32 whatever the precision of the step."""
    error = (predicted.float() - target.float()).square() * where
    return error.sum() / where.sum().clamp(min=1)
