"""The heads of scGPT: values, values from the cell's vector, zero probabilities, and the domain of a cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ACTIVE = 2  # experts that are used for a token


def mlp(d: int) -> nn.Sequential:
    """Three layers: `[..., d]` → `[..., 1]`."""
    return nn.Sequential(nn.Linear(d, d), nn.LeakyReLU(), nn.Linear(d, d), nn.LeakyReLU(), nn.Linear(d, 1))


class ValueDecoder(nn.Module):
    """A token's value; with `zero_prob` also the logit that its gene is expressed."""

    def __init__(self, d: int, zero_prob: bool = False):
        super().__init__()
        self.fc = mlp(d)
        if zero_prob:
            self.zero_logit = mlp(d)

    def forward(self, h: Tensor) -> Tensor:
        """`[..., d]` → `[...]`."""
        return self.fc(h).squeeze(-1)


class MixtureDecoder(nn.Module):
    """scGPT-spatial's value decoder: the mean of the two experts with the highest gate values, weighted by the gate.

    All experts are computed. No loss balances how often each is chosen.
    """

    def __init__(self, d: int, experts: int):
        super().__init__()
        self.moe = nn.ModuleDict(
            {
                "experts": nn.ModuleList(nn.ModuleDict({"fc": mlp(d)}) for _ in range(experts)),
                "gate": nn.ModuleDict({"gate": nn.Linear(d, experts)}),
            }
        )

    def gate(self, h: Tensor) -> Tensor:
        """Weights of the experts, `[..., experts]`. They sum to one, and all but two are zero."""
        logits = self.moe["gate"]["gate"](h)
        best = logits.topk(ACTIVE, dim=-1).indices
        # By a comparison: the FLOP counter refuses a scatter.
        active = (best[..., None, :] == torch.arange(logits.shape[-1], device=h.device)[:, None]).any(-1)
        return logits.masked_fill(~active, -torch.inf).softmax(-1)

    def forward(self, h: Tensor) -> Tensor:
        """`[..., d]` → `[...]`."""
        values = torch.cat([expert["fc"](h) for expert in self.moe["experts"]], dim=-1)
        return (self.gate(h) * values).sum(-1)


class CellDecoder(nn.Module):
    """Values of genes from a cell's vector alone ("MVC"): the product of this vector with each gene's query."""

    def __init__(self, d: int, zero_prob: bool = False):
        super().__init__()
        self.gene2query = nn.Linear(d, d)
        self.W = nn.Linear(d, d, bias=False)
        if zero_prob:
            self.W_zero_logit = nn.Linear(d, d)

    def forward(self, cell: Tensor, genes: Tensor) -> Tensor:
        """Cell `[b, d]`, gene vectors `[b, t, d]` → `[b, t]`."""
        return self._scores(genes, cell @ self.W.weight).squeeze(-1)

    def with_zero_logit(self, cell: Tensor, genes: Tensor) -> tuple[Tensor, Tensor]:
        """Values, and logits that a gene is expressed, `[b, t]` each."""
        value, logit = self._scores(genes, cell @ self.W.weight, cell @ self.W_zero_logit.weight).unbind(-1)
        return value, logit + (cell * self.W_zero_logit.bias).sum(-1, keepdim=True)

    def _scores(self, genes: Tensor, *cells: Tensor) -> Tensor:
        """`W` is applied to the cell and not to every gene: the same product, for less work."""
        return self.gene2query(genes).sigmoid() @ torch.stack(cells, dim=-1)


class Discriminator(nn.Module):
    """Logits of a cell's domain, `[b, d]` → `[b, n_domains]`, behind a gradient reversal (lambda 1)."""

    def __init__(self, d: int, n_domains: int):
        super().__init__()
        hidden = [layer for _ in range(2) for layer in (nn.Linear(d, d), nn.LeakyReLU(), nn.LayerNorm(d))]
        self._decoder = nn.Sequential(*hidden)
        self.out_layer = nn.Linear(d, n_domains)

    def forward(self, cell: Tensor) -> Tensor:
        """`[b, d]` → `[b, n_domains]`."""
        reversed_cell = 2 * cell.detach() - cell  # equal to the cell, but with the opposite gradient
        return self.out_layer(self._decoder(reversed_cell))
