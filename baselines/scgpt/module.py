"""What scGPT is pretrained to do: predict the bins that a step hides, from the shown genes and from the cell alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from baselines.scgpt.losses import ecs, masked_mse, neighbour_cells
from baselines.scgpt.model import ScGPT
from benchmark.model.masked import RATIOS
from benchmark.training.loop import WARM_UP
from benchmark.units.batch import padded

MASKED = 0.4  # share of the values that the masked objective hides
MASK_VALUE, PAD_VALUE = -1.0, -2.0  # of a hidden value; of padding and of the CLS token
ECS_THRESHOLD, ECS_WEIGHT = 0.8, 10.0


class Objective(nn.Module):
    """scGPT on batches of spots, each its genes `[n, t, 1]` with their bins as values.

    Of the losses of fine-tuning only the elastic cell similarity is here: a zero probability has nothing to learn where
    only non-zero genes are shown, and a batch does not tell the domains that a discriminator would have to (DAB).

    Args:
        net: the model.
        cls: token of the cell, which goes before a spot's genes.
        neighbour_weight: weight of scGPT-spatial's loss: the mean CLS of a spot's `neighbours` nearest others in the
            batch predicts the spot's bins; 0: no such loss.
        ecs: whether the elastic cell similarity is added, as in the authors' fine-tuning.
    """

    def __init__(self, net: ScGPT, cls: int, neighbour_weight: float = 0.0, neighbours: int = 6, ecs: bool = False):
        super().__init__()
        self.net, self.cls, self.pad = net, cls, net.encoder.embedding.padding_idx
        self.neighbour_weight, self.neighbours, self.ecs = neighbour_weight, neighbours, ecs

    def forward(self, batch: dict[str, Tensor], *hidden: Tensor) -> Tensor:
        """The sum of the losses."""
        loss, cell = self.losses(batch, *hidden)
        if self.ecs:
            loss = loss + ECS_WEIGHT * ecs(cell, ECS_THRESHOLD)
        if self.neighbour_weight:
            genes, values = self.tokens(batch)
            near = neighbour_cells(cell, batch["position"][:, 0], self.neighbours)
            found = masked_mse(self.net.impute(near, genes), values, batch["valid"])
            loss = loss + self.neighbour_weight * found
        return loss

    def losses(self, batch: dict[str, Tensor], *hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The objective's own loss, and the cells that the others are computed from, `[n, d]`."""
        raise NotImplementedError

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """`[n, d]`: the CLS token's output of length 1, nothing hidden."""
        genes, values = self.tokens(batch)
        h = self.net.encode(*self.with_cls(genes, values, ~batch["valid"]))
        return normalize(h[:, 0], dim=-1)

    def tokens(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Genes and values, `[n, t]` each."""
        valid = batch["valid"]
        genes, values = (batch[name].squeeze(-1) for name in ("genes", "values"))
        return genes.masked_fill(~valid, self.pad), values.masked_fill(~valid, PAD_VALUE)

    def with_cls(self, genes: Tensor, values: Tensor, padding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same with the cell's token first, `[n, 1 + t]` each."""
        return pad(genes, (1, 0), value=self.cls), pad(values, (1, 0), value=PAD_VALUE), pad(padding, (1, 0))


class Generative(Objective):
    """The authors' pretraining: each spot's genes are split at random into known ones and queries.

    A batch draws one share of queries. A query sees the known genes and itself; its bin is predicted from its own
    token and from the CLS token alone ("MVC"). After the warm-up of the learning rate every step has a second pass,
    in which the first one's CLS output, detached, takes the place of the CLS token: the cell prompt. The authors begin
    it after 1,000 steps, more than many budgets here hold.
    """

    second = False

    def advance(self, fraction: float) -> bool:
        self.second = fraction >= WARM_UP
        return self.second

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Places of the known tokens `[n, k]` and of the queries `[n, q]` among a spot's, -1 where there is none."""
        valid, device = batch["valid"], batch["valid"].device
        ratio = RATIOS[int(torch.randint(len(RATIOS), (), generator=generator, device=device))]
        clock = torch.rand(valid.shape, generator=generator, device=device)
        order = clock.masked_fill(~valid, torch.inf).argsort(dim=1)
        length = valid.sum(dim=1, keepdim=True)
        n_queries = (length * ratio).long()
        return _part(order, n_queries, length - n_queries), _part(order, torch.zeros_like(length), n_queries)

    def losses(self, batch: dict[str, Tensor], known: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        genes, values = self.tokens(batch)
        asked, target, there = _pick(genes, query, self.pad), _pick(values, query, PAD_VALUE), query >= 0
        shown = self.with_cls(_pick(genes, known, self.pad), _pick(values, known, PAD_VALUE), known < 0)
        h, answers = self.net.generate(*shown, asked)
        cell = h[:, 0]
        loss = masked_mse(self.net.value(answers), target, there) + masked_mse(self.net.mvc(cell, asked), target, there)
        if self.second:
            _, answers = self.net.generate(*shown, asked, cell=cell.detach())
            loss = loss + masked_mse(self.net.value(answers), target, there)
        return loss, cell


class MaskedValues(Objective):
    """Plain masked prediction: of each spot's genes some lack their value; all tokens see all."""

    @staticmethod
    def draw_hidden(batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """Which values are hidden, bool `[n, t]`."""
        valid = batch["valid"]
        return (torch.rand(valid.shape, generator=generator, device=valid.device) < MASKED) & valid

    def losses(self, batch: dict[str, Tensor], hidden: Tensor) -> tuple[Tensor, Tensor]:
        genes, values = self.tokens(batch)
        h = self.net.encode(*self.with_cls(genes, values.masked_fill(hidden, MASK_VALUE), ~batch["valid"]))
        cell = h[:, 0]
        from_token = masked_mse(self.net.value(h[:, 1:]), values, hidden)
        return from_token + masked_mse(self.net.mvc(cell, genes), values, hidden), cell


OBJECTIVES = {"generative": Generative, "masked": MaskedValues}


def _part(order: Tensor, first: Tensor, length: Tensor) -> Tensor:
    """Entries `first` to `first + length` of each row, both `[n, 1]`, then -1; few widths occur."""
    width = min(padded(max(int(length.max()), 1)), order.shape[1])
    step = torch.arange(width, device=order.device)
    picked = order.gather(1, (first + step).clamp(max=order.shape[1] - 1))
    return picked.masked_fill(step >= length, -1)


def _pick(x: Tensor, places: Tensor, absent: float) -> Tensor:
    """`x` `[n, t]` at the places `[n, m]`, and `absent` where those are -1."""
    return x.gather(1, places.clamp(min=0)).masked_fill(places < 0, absent)
