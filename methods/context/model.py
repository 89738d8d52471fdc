"""The module: from a part of the genes and spots of a sample, predict the other part around each spot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from benchmark.model.masked import mse
from benchmark.model.trunk import UNSEEN, Preset, Trunk
from methods.context.objectives import GENES, GeneHead, Objective, View, beside, target_of

if TYPE_CHECKING:
    from methods.context.expressed import Expressed

SIGMAS = (1.0, 2.0, 4.0, 100.0)  # how far the heads of attention reach, in pitches
RADIUS = 2.0  # of what is predicted, in pitches: 19 spots of a hexagonal lattice, 13 of a square one
GAIN = 0.2  # of the tokens, so that what attention adds at the start is not small beside them


class ContextModel(nn.Module):
    """A token is a linear function of a spot's scores. It begins with orthonormal columns: as the scores themselves.

    There are no vectors of position: each head of attention prefers near spots, by a bias of its own reach.

    Args:
        n_components: scores of a spot.
        hidden: share of the spots of a sample that each view hides, at most a half.
        asked: what the objective asks of the genes, if it does.
    """

    reach: Tensor
    snapshots: ClassVar[tuple[float, ...]] = (0.0625, 0.125, 0.25, 0.5)  # when it is told what was learned so far

    def __init__(
        self,
        n_components: int,
        preset: Preset,
        objective: Objective = "neighbourhood",
        hidden: float = 0.5,
        asked: Expressed | None = None,
    ):
        super().__init__()
        self.target, self.hidden = target_of(objective), hidden
        self.taught_by_head = self.target in objective.split("+")
        self.token = nn.Linear(n_components, preset.d)
        self.missing = nn.Parameter(torch.randn(preset.d) * 0.02)
        self.trunk = Trunk(preset.d, preset.heads, preset.layers)
        self.head = nn.Linear(preset.d, n_components)
        reach = [SIGMAS[i * len(SIGMAS) // preset.heads] for i in range(preset.heads)]
        self.register_buffer("reach", torch.tensor(reach))
        nn.init.orthogonal_(self.token.weight)
        nn.init.zeros_(self.token.bias)
        self.beside = nn.ModuleList(beside(objective, preset.d, asked))
        self.work_beside = sum(each.flops for each in self.beside) / (24 * preset.d**2 * preset.layers)  # see `work`
        if "vicreg" in objective:
            self.counts = None  # its statistics are of all spots of a step

    def encode(self, scores: Tensor, hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """One vector for each spot, `[b, t, d]`. A `hidden` spot, bool `[b, t]`, tells nothing; others may tell of it.

        Args:
            scores: `[b, t, p]`.
        """
        tokens = torch.where(hidden[..., None], self.missing, self.token(scores * GAIN))
        return self.trunk(tokens, attention_bias(batch["position"], batch["valid"] & ~hidden, self.reach))

    def embed(self, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
        """One vector for each spot from all genes, `[b, t, d]`.

        Args:
            hidden: spots that tell nothing, bool `[b, t]`.
        """
        return self.encode(batch["parts"].sum(dim=2), hidden, batch)

    def forward(
        self, batch: dict[str, Tensor], mine: Tensor, hidden_a: Tensor, hidden_b: Tensor, genes: Tensor | None = None
    ) -> Tensor:
        """The loss: mean over both views of the squared error of what each predicts of the other, and what the
        objective has beside it. See `draw_hidden` for the arguments."""
        counts = batch.get("counts")
        of_head, of_genes = ((None, None), None) if counts is None else (counts[:2], counts[2:])
        scores, hidden, target, has = zip(*self.asked(batch, mine, hidden_a, hidden_b), strict=True)
        twice = {name: torch.cat([batch[name]] * 2) for name in ("position", "valid")}
        vectors = self.encode(torch.cat(scores), torch.cat(hidden), twice)  # both views at once: fewer, larger products
        said = self.head(vectors if self.taught_by_head else vectors.detach()).chunk(2)
        loss = sum(map(mse, said, target, has, of_head)) / (2 * batch["parts"].shape[-1])
        of_a, of_b = vectors.chunk(2)
        views = View(of_a, mine, hidden_a), View(of_b, ~mine, hidden_b)
        for objective in self.beside:
            loss = loss + objective(views, batch, None if genes is None else genes[0], of_genes)
        return loss

    def counts(
        self, batch: dict[str, Tensor], mine: Tensor, hidden_a: Tensor, hidden_b: Tensor, genes: Tensor | None = None
    ) -> Tensor:
        """How many spots each view predicts, then how many values of genes, if the objective asks any, `[2 or 4]`."""
        found = [self.has_target(batch, lost).sum() for lost in (hidden_b, hidden_a)]
        for objective in self.beside:
            for shown, hidden in ((mine, hidden_a), (~mine, hidden_b)):
                found.append(objective.unseen(shown, hidden, batch, genes[0]).sum())
        return torch.stack(found)

    def asked(
        self, batch: dict[str, Tensor], mine: Tensor, hidden_a: Tensor, hidden_b: Tensor
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """For each view: its scores `[b, t, p]`, the spots that it hides, bool `[b, t]`, what it is to predict
        `[b, t, p]`, and for which spots, bool `[b, t, 1]`."""
        valid = batch["valid"]
        a, b = views(batch["parts"], mine)
        for scores, hidden, other, lost in ((a, hidden_a, b, hidden_b), (b, hidden_b, a, hidden_a)):
            if self.target == "neighbourhood":
                target, has = around(other, batch["position"], valid & ~lost)
            elif self.target == "spot":
                target, has = other, ~lost
            else:
                target, has = batch["parts"].sum(dim=2), valid
            yield scores, hidden, target, (has & valid)[..., None]

    def has_target(self, batch: dict[str, Tensor], lost: Tensor) -> Tensor:
        """The spots that a view is to predict, bool `[b, t]`, as `asked` has them; `lost`: what the other one hides."""
        valid = batch["valid"]
        if self.target == "masked":
            return valid
        return valid & (~lost if self.target == "spot" else near(batch["position"], valid & ~lost).any(dim=-1))

    def draw_hidden(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, ...]:
        """The choices of `draw_views`; then the genes that the step asks, int `[1, g]`, if the objective asks any."""
        drawn = self.draw_views(batch, generator)
        for objective in self.beside:
            if isinstance(objective, GeneHead):
                n_genes = len(objective.group)
                drawn = *drawn, torch.randperm(n_genes, generator=generator, device=self.reach.device)[None, :GENES]
        return drawn

    def draw_views(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Which half of the gene groups the first view has, bool `[b, groups]`, and the spots that each view hides,
        bool `[b, t]`: a share of those of a sample, rounded down, and no spot twice. So a spot alone is not hidden."""
        parts, valid = batch["parts"], batch["valid"]

        def ranks(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=valid.device)

        mine = ranks(len(parts), parts.shape[2]).argsort(dim=1) < parts.shape[2] // 2
        rank = ranks(*valid.shape).masked_fill(~valid, 2).argsort(dim=1).argsort(dim=1)  # padding comes last
        n = valid.sum(dim=1, keepdim=True)
        lost = (n * self.hidden).floor()
        return mine, rank < lost, (rank >= n - lost) & valid


def views(parts: Tensor, mine: Tensor) -> tuple[Tensor, Tensor]:
    """Scores by the gene groups that are `mine`, bool `[b, groups]`, and by the others: twice the sum of their parts.

    Args:
        parts: `[b, t, groups, p]`.
    """
    of_mine = 2 * (parts * mine[:, None, :, None]).sum(dim=2)
    return of_mine, 2 * parts.sum(dim=2) - of_mine


def square_distance(position: Tensor) -> Tensor:
    """Between all spots of a sample, `[b, t, 2]` → `[b, t, t]`."""
    return sum((x[:, :, None] - x[:, None]).square() for x in position.unbind(dim=-1))


def attention_bias(position: Tensor, seen: Tensor, reach: Tensor) -> Tensor:
    """-d² / (2 σ²) for each head's reach σ `[heads]`, `UNSEEN` for a spot that is not `seen`, `[b, heads, t, t]`.

    From each row's d² its least is taken away, which changes no attention: the nearest spot that is seen has a bias of
    0. Of rows that see far spots alone, as padding does, a kernel of cuDNN makes gradients that are not finite
    (github.com/pytorch/pytorch/issues/196678).
    """
    square = square_distance(position)
    least = square.masked_fill(~seen[:, None], torch.inf).amin(dim=-1, keepdim=True)
    bias = (least.nan_to_num(posinf=0) - square)[:, None] / (2 * reach.square())[:, None, None]
    return bias.masked_fill_(~seen[:, None, None], UNSEEN)


def around(scores: Tensor, position: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean score over the spots within `RADIUS` of each spot that are `seen`, and which spots have such neighbours.

    Args:
        scores: `[b, t, p]`.
        seen: bool `[b, t]`.
    """
    neighbours = near(position, seen)
    count = neighbours.sum(dim=-1)
    return neighbours.to(scores.dtype) @ scores / count.clamp(min=1)[..., None], count > 0


def near(position: Tensor, seen: Tensor) -> Tensor:
    """For each spot, which spots are within `RADIUS` of it and `seen`, bool `[b, t, t]`."""
    return (square_distance(position) < RADIUS**2 + 0.01) & seen[:, None]
