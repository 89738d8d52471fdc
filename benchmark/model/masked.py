"""Masked reconstruction, the objective of all units: hide a part of the expression, predict it from the rest."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.model.trunk import Preset, Trunk, sincos

RATIOS = (0.25, 0.5, 0.75)  # share of the values of a spot that are hidden
SQUARE = 3.0  # half the side of a hidden square, at most, in pitches
Masking = Literal["mixed", "channels", "spots", "blocks"]


class Masked(nn.Module):
    """What all units share: gene table, trunk, head, and centring on the gene means of the training slides.

    Every gene has one vector. It binds the values of the gene at the input and reads them out at the head.

    Args:
        gene_mean: mean of each log-normalised gene over the training slides, `[n_genes]`.
    """

    gene_mean: Tensor

    def __init__(self, gene_mean: Tensor, preset: Preset):
        super().__init__()
        n_genes, d = len(gene_mean), preset.d
        self.register_buffer("gene_mean", gene_mean.float())
        self.gene = nn.Embedding(n_genes, d)
        self.offset = nn.Embedding(n_genes, 1)
        self.trunk = Trunk(preset.d, preset.heads, preset.layers)
        self.decoder = Trunk(preset.d, preset.heads, preset.decoder) if preset.decoder else None
        self.head = nn.Linear(d, d)
        nn.init.zeros_(self.offset.weight)
        nn.init.normal_(self.head.weight, std=0.1 * d**-0.5)

    def decode(self, h: Tensor, valid: Tensor) -> Tensor:
        """From the embedding `[b, t, d]` to the input of the head, `[b, t, d]`: the decoder, if the preset has one."""
        return h if self.decoder is None else self.decoder(h, valid)

    def read_out(self, h: Tensor, genes: Tensor) -> Tensor:
        """Centred expression: `h` `[b, t, d]`, genes `[b, 1, c]` → `[b, t, c]`; genes `[b, t, 1]` → `[b, t, 1]`."""
        query, table = self.head(h), self.gene(genes)
        offset = self.offset(genes).squeeze(-1)
        if genes.shape[1] == 1:
            return query @ table.squeeze(1).transpose(1, 2) / query.shape[-1] ** 0.5 + offset
        return (query * table.squeeze(2)).sum(-1, keepdim=True) / query.shape[-1] ** 0.5 + offset

    def counts(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """How many values are hidden, a scalar: see `ModuleOptions`."""
        return hidden.sum()

    def centred(self, batch: dict[str, Tensor]) -> Tensor:
        """The values `[b, t, c]` of a batch minus the means of their genes; 0 for a gene that was not measured."""
        return batch["values"] - self.gene_mean[batch["genes"]] * batch["measured"]


class MaskedSpots(Masked):
    """Tokens are spots (patch, slide).

    A token is the sum of its visible values, each times the vector of its gene. A second sum says which genes are
    hidden, so a hidden spot does not look like an empty one.

    Args:
        masking: "channels": a share of the values of each spot; "spots": whole spots; "blocks": whole squares; "mixed":
            a share of the values of each spot, all of them in every fourth spot, and in half of the samples a square.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset, masking: Masking = "mixed"):
        super().__init__(gene_mean, preset)
        self.masking = masking
        self.value = nn.Linear(preset.d, preset.d)
        self.hidden = nn.Linear(preset.d, preset.d, bias=False)

    def encode(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """One vector for each spot, `[b, t, d]`. `hidden` bool `[b, t, c]`."""
        table = self.gene(batch["genes"]).squeeze(1) * hidden.shape[-1] ** -0.5
        tokens = self.shown(batch, hidden, table) + self.hidden(hidden.to(table.dtype) @ table)
        return self.trunk(tokens + sincos(batch["position"], tokens.shape[-1]), batch["valid"])

    def shown(self, batch: dict[str, Tensor], hidden: Tensor, table: Tensor) -> Tensor:
        """What a token tells of the visible values, `[b, t, d]`; `table` `[b, c, d]`: the vectors of the channels."""
        return self.value(self.centred(batch).masked_fill(hidden, 0) @ table)

    def forward(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """The loss: mean squared error over the hidden values."""
        h = self.decode(self.encode(batch, hidden), batch["valid"])
        return mse(self.read_out(h, batch["genes"]), self.centred(batch), hidden, batch.get("counts"))

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """One vector for each spot, `[b, t, d]`, with nothing hidden."""
        return self.encode(batch, torch.zeros_like(batch["values"], dtype=torch.bool))

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The values that a step hides, bool `[b, t, c]`."""
        values, position, valid = batch["values"], batch["position"], batch["valid"]
        (b, t, _), device = values.shape, values.device
        ratios = torch.tensor(RATIOS + (1.0,) * (self.masking == "mixed"), device=device)

        def ratio(*shape: int) -> Tensor:
            return ratios[torch.randint(len(ratios), shape, generator=generator, device=device)]

        def random(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=device)

        hidden = torch.zeros((b, t, 1), dtype=torch.bool, device=device)
        if self.masking in ("mixed", "channels"):
            hidden = random(*values.shape) < ratio(b, t, 1)
        elif self.masking == "spots":
            hidden = random(b, t, 1) < ratio(b, 1, 1)
        if self.masking in ("mixed", "blocks"):
            centre = torch.randint(2**31, (b, 1), generator=generator, device=device) % valid.sum(1, keepdim=True)
            centre = position.gather(1, centre[..., None].expand(-1, -1, 2))
            square = ((position - centre).abs() <= random(b, 1, 1) * SQUARE).all(-1, keepdim=True)
            hidden = hidden | (square & (random(b, 1, 1) < 0.5) if self.masking == "mixed" else square)
        return (hidden & valid[..., None] & batch["measured"]).expand_as(values)


class MaskedGenes(Masked):
    """Tokens are the genes of one spot: gene vector plus value. A summary token attends to all of them (scGPT's CLS).

    The hidden values are predicted twice, as in scGPT: from their own tokens and from the summary token.
    """

    def __init__(self, gene_mean: Tensor, preset: Preset):
        super().__init__(gene_mean, preset)
        d = preset.d
        self.value = nn.Sequential(nn.Linear(1, d), nn.GELU(), nn.Linear(d, d))
        self.unknown = nn.Parameter(torch.randn(d) * 0.02)
        self.summary = nn.Parameter(torch.randn(d) * 0.02)

    def encode(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """The summary token, then the genes, `[b, 1 + t, d]`. `hidden` bool `[b, t, 1]`."""
        value = torch.where(hidden, self.unknown, self.value(self.centred(batch)))
        tokens = self.gene(batch["genes"]).squeeze(2) + value
        summary = self.summary.expand(len(tokens), 1, -1)
        valid = nn.functional.pad(batch["valid"], (1, 0), value=True)
        return self.trunk(torch.cat([summary, tokens], dim=1), valid)

    def forward(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """The loss: mean squared error over the hidden values, half from their tokens and half from the summary."""
        h, target, genes = self.encode(batch, hidden), self.centred(batch), batch["genes"]
        h = self.decode(h, nn.functional.pad(batch["valid"], (1, 0), value=True))
        from_summary = self.read_out(h[:, :1], genes.transpose(1, 2)).transpose(1, 2)
        from_tokens, n = self.read_out(h[:, 1:], genes), batch.get("counts")
        return (mse(from_tokens, target, hidden, n) + mse(from_summary, target, hidden, n)) / 2

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """The summary token of each spot, `[b, 1, d]`, with nothing hidden."""
        return self.encode(batch, torch.zeros_like(batch["values"], dtype=torch.bool))[:, :1]

    @staticmethod
    def draw_hidden(batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The values that a step hides, bool `[b, t, 1]`."""
        values, device = batch["values"], batch["values"].device
        ratios = torch.tensor(RATIOS, device=device)
        ratio = ratios[torch.randint(len(ratios), (len(values), 1, 1), generator=generator, device=device)]
        return (torch.rand(values.shape, generator=generator, device=device) < ratio) & batch["valid"][..., None]


def mse(predicted: Tensor, target: Tensor, where: Tensor, n: Tensor | None = None) -> Tensor:
    """Mean squared error over `where`, a scalar; in float32, whatever the precision of the step. 0 over nothing.

    Args:
        n: what the sum is divided by; None: the number of values in `where`.
    """
    error = (predicted.float() - target.float()).square() * where
    return error.sum() / (where.sum().clamp(min=1) if n is None else n)
