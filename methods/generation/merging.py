"""Bipartite merging of alike image tokens before a layer, undone after it (Bolya and Hoffman 2023, CVPR workshops).

One token of each 2 × 2 cell, drawn at random, is a destination; of all others the `r` most like their nearest
destination (cosine) are averaged into it. Afterwards each of them gets a copy of what became of its destination.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CELL = 2  # tokens along a side of a cell
MOST = 1 - 1 / CELL**2  # share of tokens that can disappear: all that are no destinations


@dataclass(frozen=True)
class Merging:
    """Which tokens of each image go together.

    Attributes:
        kept: tokens that stay themselves, `[b, n_kept]`.
        merged: tokens averaged into a destination, `[b, r]`.
        into: which destination, its number among `destination`, `[b, r]`.
        destination: `[n_cells]`, the same for all images.
    """

    kept: Tensor
    merged: Tensor
    into: Tensor
    destination: Tensor

    def merge(self, x: Tensor) -> Tensor:
        """`[b, n, d]` → `[b, n - r, d]`: what is kept, then the destinations, each the mean of its group."""
        rows = _rows(x)
        total = x[:, self.destination].index_put((rows, self.into), x[rows, self.merged], accumulate=True)
        one = x.new_ones(())
        count = x.new_ones(total.shape[:2]).index_put((rows, self.into), one, accumulate=True)
        return torch.cat([x[rows, self.kept], total / count[..., None]], dim=1)

    def unmerge(self, x: Tensor) -> Tensor:
        """`[b, n - r, d]` → `[b, n, d]`: every token in its place, merged ones as copies of their destination."""
        rows, (b, n_kept) = _rows(x), self.kept.shape
        place = self.kept.new_empty(b, x.shape[1] + self.merged.shape[1])
        place = place.index_put((rows, self.kept), torch.arange(n_kept, device=x.device))
        place[:, self.destination] = n_kept + torch.arange(len(self.destination), device=x.device)
        return x[rows, place.index_put((rows, self.merged), n_kept + self.into)]


def plan(x: Tensor, side: int, ratio: float, pick: Tensor) -> Merging:
    """Choose what is merged, by the likeness of tokens `[b, side², d]`.

    Args:
        ratio: share of all tokens that disappears, at most 3/4.
        pick: which token of its cell is the destination, int in [0, 4), `[n_cells]`.
    """
    destination, source = divide(side, pick)
    unit = x.detach() * x.detach().square().sum(dim=-1, keepdim=True).clamp(min=1e-12).rsqrt()
    likeness, into = (unit[:, source] @ unit[:, destination].transpose(1, 2)).max(dim=-1)
    order = likeness.argsort(dim=-1, descending=True, stable=True)
    r = n_merged(side, ratio)
    merged, kept = order[:, :r], order[:, r:]
    return Merging(source[kept], source[merged], into.gather(1, merged), destination)


def divide(side: int, pick: Tensor) -> tuple[Tensor, Tensor]:
    """Destinations `[n_cells]` and all other tokens `[n - n_cells]` of a grid of side × side tokens, row by row."""
    cells = side // CELL
    cell = torch.arange(cells**2, device=pick.device)
    corner = cell // cells * CELL * side + cell % cells * CELL
    within = torch.tensor([0, 1, side, side + 1], device=pick.device)
    others = (pick[:, None] + torch.arange(1, CELL**2, device=pick.device)) % CELL**2
    return corner + within[pick], (corner[:, None] + within[others]).flatten()


def n_merged(side: int, ratio: float) -> int:
    return round(ratio * side**2)


def _rows(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device)[:, None]
