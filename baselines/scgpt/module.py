"""The objectives of scGPT: predict the bins that a step hides, from the shown genes and from the cell alone."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from baselines.scgpt.losses import ecs, masked_mse, neighbour_cells
from baselines.scgpt.model import ScGPT
from benchmark.model.masked import RATIOS
from benchmark.training.loop import WARM_UP
from benchmark.units.batch import padded

ObjectiveName = Literal["generative", "masked"]
MASKED = 0.4  # share of the values that the masked objective hides
MASK_VALUE, PAD_VALUE = -1.0, -2.0  # stand for a hidden value, and for the value of padding and of the CLS token
ECS_THRESHOLD, ECS_WEIGHT = 0.8, 10.0


class Objective(nn.Module):
    """scGPT on batches of spots: their genes `[n, t, 1]`, with bins as values.

    Of the losses of fine-tuning, only the elastic cell similarity is used. Only non-zero genes are shown, so a zero
    probability would have nothing to learn. A batch has no domains, so a discriminator (DAB) would have none to tell
    apart.

    Args:
        net: the model.
        cls: token of the cell, which comes before a spot's genes.
        neighbour_weight: weight of scGPT-spatial's loss, in which the mean CLS output of a spot's nearest spots in the
            batch predicts the spot's bins; 0: no such loss.
        neighbours: number of these nearest spots.
        ecs: whether the elastic cell similarity is added, as in the authors' fine-tuning.
    """

    def __init__(self, net: ScGPT, cls: int, neighbour_weight: float = 0.0, neighbours: int = 6, ecs: bool = False):
        super().__init__()
        self.net, self.cls, self.pad = net, cls, net.encoder.embedding.padding_idx
        self.neighbour_weight, self.neighbours, self.ecs = neighbour_weight, neighbours, ecs
        if neighbour_weight or ecs:
            self.counts = None  # these losses compare the spots of a step

    def forward(self, batch: dict[str, Tensor], *hidden: Tensor) -> Tensor:
        """The sum of the losses."""
        loss, cell = self.losses(batch, *hidden)
        if self.ecs:
            loss = loss + ECS_WEIGHT * ecs(cell, ECS_THRESHOLD)
        if self.neighbour_weight:
            genes, values = self.tokens(batch)
            near = neighbour_cells(cell, batch["position"][:, 0], self.neighbours)
            loss = loss + self.neighbour_weight * masked_mse(self.net.impute(near, genes), values, batch["valid"])
        return loss

    def losses(self, batch: dict[str, Tensor], *hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The objective's own loss, and the cells `[n, d]`, from which the other losses are computed."""
        raise NotImplementedError

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """The CLS token's output scaled to length 1, `[n, d]`. Nothing is hidden."""
        genes, values = self.tokens(batch)
        h = self.net.encode(*self.with_cls(genes, values, ~batch["valid"]))
        return normalize(h[:, 0], dim=-1)

    def tokens(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Genes and values, `[n, t]` each."""
        valid = batch["valid"]
        genes, values = (batch[name].squeeze(-1) for name in ("genes", "values"))
        return genes.masked_fill(~valid, self.pad), values.masked_fill(~valid, PAD_VALUE)

    def with_cls(self, genes: Tensor, values: Tensor, padding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same arrays with the cell's token first, `[n, 1 + t]` each."""
        return pad(genes, (1, 0), value=self.cls), pad(values, (1, 0), value=PAD_VALUE), pad(padding, (1, 0))


class Generative(Objective):
    """The authors' pretraining: each spot's genes are divided at random into known genes and queries.

    A batch draws one share of queries. A query sees the known genes and itself. Its bin is predicted twice: from its
    own token, and from the CLS token alone ("MVC"). After the warm-up of the learning rate, every step has a second
    pass with the cell prompt: the CLS output of the first pass, detached, replaces the CLS token. The authors start it
    after 1,000 steps, which is more than many budgets here have.
    """

    second = False

    def advance(self, fraction: float) -> bool:
        """Whether steps have a second pass at this fraction of the budget."""
        self.second = fraction >= WARM_UP
        return self.second

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which of a spot's tokens are known `[n, k]`, and which are queries `[n, q]`, as indices padded with -1."""
        valid, device = batch["valid"], batch["valid"].device
        ratio = RATIOS[int(torch.randint(len(RATIOS), (), generator=generator, device=device))]
        clock = torch.rand(valid.shape, generator=generator, device=device)
        order = clock.masked_fill(~valid, torch.inf).argsort(dim=1)
        length = valid.sum(dim=1, keepdim=True)
        n_queries = (length * ratio).long()
        return _part(order, n_queries, length - n_queries), _part(order, torch.zeros_like(length), n_queries)

    def losses(self, batch: dict[str, Tensor], known: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of the queries, and the cells `[n, d]`."""
        genes, values = self.tokens(batch)
        asked, target, valid = _pick(genes, query, self.pad), _pick(values, query, PAD_VALUE), query >= 0
        error = partial(masked_mse, target=target, where=valid, n=batch.get("counts"))
        shown = self.with_cls(_pick(genes, known, self.pad), _pick(values, known, PAD_VALUE), known < 0)
        h, answers = self.net.generate(*shown, asked)
        cell = h[:, 0]
        loss = error(self.net.value(answers)) + error(self.net.mvc(cell, asked))
        if self.second:
            _, answers = self.net.generate(*shown, asked, cell=cell.detach())
            loss = loss + error(self.net.value(answers))
        return loss, cell

    def counts(self, batch: dict[str, Tensor], known: Tensor, query: Tensor) -> Tensor:
        """How many queries the step has, a scalar."""
        return (query >= 0).sum()


class MaskedValues(Objective):
    """Plain masked prediction: some genes of each spot lack their value, and all tokens see all tokens."""

    @staticmethod
    def draw_hidden(batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """Which values are hidden, bool `[n, t]`."""
        valid = batch["valid"]
        return (torch.rand(valid.shape, generator=generator, device=valid.device) < MASKED) & valid

    def losses(self, batch: dict[str, Tensor], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of the hidden values, and the cells `[n, d]`."""
        genes, values = self.tokens(batch)
        h = self.net.encode(*self.with_cls(genes, values.masked_fill(hidden, MASK_VALUE), ~batch["valid"]))
        cell = h[:, 0]
        error = partial(masked_mse, target=values, where=hidden, n=batch.get("counts"))
        return error(self.net.value(h[:, 1:])) + error(self.net.mvc(cell, genes)), cell

    @staticmethod
    def counts(batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """How many values are hidden, a scalar."""
        return hidden.sum()


OBJECTIVES: dict[ObjectiveName, type[Objective]] = {"generative": Generative, "masked": MaskedValues}


def _part(order: Tensor, first: Tensor, length: Tensor) -> Tensor:
    """Entries `first` to `first + length` of each row, both `[n, 1]`, then padding of -1, so that few widths occur."""
    width = min(padded(max(int(length.max()), 1)), order.shape[1])
    step = torch.arange(width, device=order.device)
    picked = order.gather(1, (first + step).clamp(max=order.shape[1] - 1))
    return picked.masked_fill(step >= length, -1)


def _pick(x: Tensor, index: Tensor, absent: float) -> Tensor:
    """`x` `[n, t]` at the `index` `[n, m]` of each row, and `absent` where the index is -1."""
    return x.gather(1, index.clamp(min=0)).masked_fill(index < 0, absent)
