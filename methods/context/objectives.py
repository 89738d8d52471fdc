"""What a sample is trained by: a target of the read-out head, or an objective beside it with a head of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from benchmark.model.masked import mse

if TYPE_CHECKING:
    from methods.context.expressed import Expressed

# What the read-out head says of a spot from a view: the mean of the other view over the spots around it
# ("neighbourhood"), the other view of the spot itself ("spot"; Noise2Noise), or all its genes, those that the view has
# included ("masked").
Target = Literal["neighbourhood", "spot", "masked"]
# The trunk learns by the target, by the expression that a view does not show ("expression": scaled values,
# "negative_binomial": counts), by the likeness of the two views ("vicreg"), or by the sum of two of them. Where no
# target is named, the head learns "neighbourhood" from vectors that it cannot change, and the trunk nothing of it.
Objective = Literal[
    "neighbourhood",
    "spot",
    "masked",
    "expression",
    "vicreg",
    "negative_binomial",
    "neighbourhood+vicreg",
    "neighbourhood+negative_binomial",
]
GENES = 256  # that a step asks, drawn at random
EXPANDED = 2  # times the width: in so many numbers the views are compared


class View(NamedTuple):
    """What one view says of a sample, and what it shows.

    Attributes:
        vectors: of each spot, `[b, t, d]`.
        mine: the gene groups that it shows, bool `[b, groups]`.
        hidden: the spots that it hides, bool `[b, t]`.
    """

    vectors: Tensor
    mine: Tensor
    hidden: Tensor


def target_of(objective: Objective) -> Target:
    """What the read-out head learns."""
    return next((word for word in get_args(Target) if word in objective.split("+")), "neighbourhood")


def beside(objective: Objective, d: int, asked: Expressed | None) -> list[nn.Module]:
    """The objectives beside the target. A call with both views, the batch and the genes asked gives a loss."""
    makes = {
        "expression": lambda: ScaledExpression(d, asked),
        "negative_binomial": lambda: NegativeBinomial(d, asked),
        "vicreg": lambda: Vicreg(d),
    }
    return [makes[word]() for word in objective.split("+") if word in makes]


class GeneHead(nn.Module):
    """A linear head to the genes of the tokeniser, for what a view does not show: all genes of a spot that it hides,
    and of every spot the genes of the other view. Zeros are asked like all other values, genes that the slide has not
    measured are not."""

    group: Tensor

    def __init__(self, d: int, asked: Expressed):
        super().__init__()
        self.head = nn.Linear(d, len(asked.group))
        self.register_buffer("group", torch.from_numpy(asked.group))
        self.flops = 2 * d * min(GENES, len(asked.group))  # of each spot of a view

    def forward(
        self,
        views: tuple[View, View],
        batch: dict[str, Tensor],
        genes: Tensor,
        counts: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Mean loss over the values asked, and over both views.

        Args:
            genes: that are asked, int `[g]`.
            counts: what the sum of each view is divided by; None: the number of its values.
        """
        total = 0
        for i, view in enumerate(views):
            said = linear(view.vectors, self.head.weight[genes], self.head.bias[genes])
            unseen = self.unseen(view.mine, view.hidden, batch, genes)
            loss = self.loss(said.float(), batch["values"][..., genes], batch["size"], genes)
            total = total + (loss * unseen).sum() / (unseen.sum().clamp(min=1) if counts is None else counts[i])
        return total / 2

    def unseen(self, mine: Tensor, hidden: Tensor, batch: dict[str, Tensor], genes: Tensor) -> Tensor:
        """The values that a view is asked, bool `[b, t, g]`; see `View` for the arguments."""
        of_other = ~mine[:, self.group[genes]]
        unseen = (hidden[..., None] | of_other[:, None]) & batch["valid"][..., None]
        return unseen & batch["measured"][:, None, genes]

    def loss(self, said: Tensor, values: Tensor, size: Tensor, genes: Tensor) -> Tensor:
        """Of each value, `[b, t, g]`.

        Args:
            said, values: `[b, t, g]`.
            size: library size of each spot, `[b, t]`.
        """
        raise NotImplementedError


class ScaledExpression(GeneHead):
    """Squared error of the scaled values."""

    def loss(self, said: Tensor, values: Tensor, size: Tensor, genes: Tensor) -> Tensor:
        return (said - values).square()


class NegativeBinomial(GeneHead):
    """Minus the log-likelihood of the counts (the model of counts of scVI, Lopez et al. 2018).

    The mean is the library size of the spot times the gene's share of all training counts times what the head says of
    it: softplus, over its value at 0, so that a head of zeros says the share. Each gene has its own dispersion.
    """

    share: Tensor

    def __init__(self, d: int, asked: Expressed):
        super().__init__(d, asked)
        self.register_buffer("share", torch.from_numpy(asked.share))
        self.log_dispersion = nn.Parameter(torch.zeros(len(asked.share)))

    def loss(self, said: Tensor, values: Tensor, size: Tensor, genes: Tensor) -> Tensor:
        fold = softplus(said) / softplus(said.new_zeros(()))
        mean = size[..., None] * self.share[genes] * fold
        return -log_likelihood(values, mean, self.log_dispersion[genes].exp())


def log_likelihood(counts: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    """Logarithm of the chance of each count under a negative binomial of variance mean + mean² / dispersion."""
    mean = mean.clamp(min=1e-8)
    either = torch.log(dispersion + mean)
    chance = dispersion * (dispersion.log() - either) + counts * (mean.log() - either)
    return chance + torch.lgamma(counts + dispersion) - torch.lgamma(dispersion) - torch.lgamma(counts + 1)


class Vicreg(nn.Module):
    """The VICReg loss of what both views say of each spot, behind a net of two layers.

    Over 25, so that it has the size of a mean squared error, and may be added to one.
    """

    def __init__(self, d: int):
        super().__init__()
        self.expander = nn.Sequential(nn.Linear(d, EXPANDED * d), nn.GELU(), nn.Linear(EXPANDED * d, EXPANDED * d))
        self.flops = 2 * EXPANDED * (1 + 2 * EXPANDED) * d**2  # of each spot of a view: the net, and its covariance

    def forward(self, views: tuple[View, View], batch: dict[str, Tensor], genes: None, counts: None) -> Tensor:
        a, b = (self.expander(view.vectors).float() for view in views)
        return vicreg(a, b, batch["valid"]) / 25


def vicreg(a: Tensor, b: Tensor, valid: Tensor) -> Tensor:
    """25 invariance + 25 variance + 1 covariance over the `valid` spots (Bardes, Ponce and LeCun 2022).

    As in the authors' code, invariance is the mean over the components too, and variance the mean over both views.

    Args:
        a, b: of the two views, `[b, t, k]`.
        valid: bool `[b, t]`.
    """
    where = valid[..., None].to(a.dtype)
    n, k = where.sum(), a.shape[-1]
    variance = covariance = 0
    for z in (a, b):
        centred = ((z - (z * where).sum(dim=(0, 1)) / n) * where).flatten(0, 1)
        products = centred.T @ centred / (n - 1).clamp(min=1)
        squares = products.diagonal()
        variance = variance + (1 - (squares + 1e-4).sqrt()).clamp(min=0).mean() / 2
        covariance = covariance + (products.square().sum() - squares.square().sum()) / k
    return 25 * mse(a, b, where) / k + 25 * variance + covariance
