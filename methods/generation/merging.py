"""Bipartite merging of alike image tokens before a layer, undone after it (Bolya and Hoffman 2023, CVPR workshops).

In each square of 2 × 2 tokens, one token is drawn at random as a destination. Of the other tokens, the `r` that are
most like their nearest destination (by cosine) are averaged into it. After the layer, each of them gets a copy of its
destination.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SQUARE = 2  # tokens along a side of a square
MOST = 1 - 1 / SQUARE**2  # share of tokens that can disappear: all that are no destination


@dataclass(frozen=True)
class Merging:
    """Which tokens of each image are merged.

    Attributes:
        kept: tokens that are neither merged nor a destination, `[b, n_kept]`.
        merged: tokens averaged into a destination, `[b, r]`.
        into: the destination of each merged token, as its number in `destination`, `[b, r]`.
        destination: `[n_squares]`, the same for all images.
    """

    kept: Tensor
    merged: Tensor
    into: Tensor
    destination: Tensor

    def merge(self, x: Tensor) -> Tensor:
        """`[b, n, d]` → `[b, n - r, d]`: the kept tokens, then the destinations, each the mean of its group."""
        rows = _rows(x)
        total = x[:, self.destination].index_put((rows, self.into), x[rows, self.merged], accumulate=True)
        one = x.new_ones(())
        count = x.new_ones(total.shape[:2]).index_put((rows, self.into), one, accumulate=True)
        return torch.cat([x[rows, self.kept], total / count[..., None]], dim=1)

    def unmerge(self, x: Tensor) -> Tensor:
        """`[b, n - r, d]` → `[b, n, d]`: every token at its old index, merged tokens as copies of their destination."""
        rows, (b, n_kept) = _rows(x), self.kept.shape
        source = self.kept.new_empty(b, x.shape[1] + self.merged.shape[1])
        source = source.index_put((rows, self.kept), torch.arange(n_kept, device=x.device))
        source[:, self.destination] = n_kept + torch.arange(len(self.destination), device=x.device)
        return x[rows, source.index_put((rows, self.merged), n_kept + self.into)]


def plan(x: Tensor, side: int, ratio: float, pick: Tensor) -> Merging:
    """Choose what is merged, by the likeness of tokens `[b, side², d]`.

    Args:
        ratio: share of all tokens that disappears, at most 3/4.
        pick: which token of its square is the destination, int in [0, 4), `[n_squares]`.
    """
    destination, source = divide(side, pick)
    unit = x.detach() * x.detach().square().sum(dim=-1, keepdim=True).clamp(min=1e-12).rsqrt()
    likeness, into = (unit[:, source] @ unit[:, destination].transpose(1, 2)).max(dim=-1)
    order = likeness.argsort(dim=-1, descending=True, stable=True)
    r = n_merged(side, ratio)
    merged, kept = order[:, :r], order[:, r:]
    return Merging(source[kept], source[merged], into.gather(1, merged), destination)


def divide(side: int, pick: Tensor) -> tuple[Tensor, Tensor]:
    """Destinations `[n_squares]` and all other tokens `[n - n_squares]` of a grid of side × side tokens, row by row."""
    squares = side // SQUARE
    square = torch.arange(squares**2, device=pick.device)
    corner = square // squares * SQUARE * side + square % squares * SQUARE
    within = torch.tensor([0, 1, side, side + 1], device=pick.device)
    others = (pick[:, None] + torch.arange(1, SQUARE**2, device=pick.device)) % SQUARE**2
    return corner + within[pick], (corner[:, None] + within[others]).flatten()


def n_merged(side: int, ratio: float) -> int:
    """Tokens that disappear from a grid of side × side."""
    return round(ratio * side**2)


def _rows(x: Tensor) -> Tensor:
    """The number of each sample, `[b, 1]`."""
    return torch.arange(len(x), device=x.device)[:, None]
