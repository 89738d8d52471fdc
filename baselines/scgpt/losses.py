"""The losses of scGPT that torch does not have, and the neighbours from which scGPT-spatial predicts a spot."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.core.errors import UnitBenchError
from benchmark.model.masked import mse

masked_mse = mse  # sum of squared errors / number of hidden values


def zero_nll(probability: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """Mean negative log-likelihood over `where` that a gene is expressed (`target > 0`); all `[b, t]`."""
    probability = probability.float()
    likelihood = torch.where(target > 0, probability, 1 - probability)
    surprise = -likelihood.clamp(min=torch.finfo(torch.float32).eps).log() * where
    return surprise.sum() / where.sum().clamp(min=1)


def ecs(cell: Tensor, threshold: float) -> Tensor:
    """Elastic cell similarity: pushes cosines away from the threshold, to 1 or to 0; cells `[b, d]`.

    It is the mean of `1 - (cosine - threshold)²` over all pairs. Negative cosines count as 0, and so does a cell's
    cosine with itself.
    """
    cell = cell.float()
    unit = cell * cell.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt()
    cosine = (unit @ unit.T).relu()
    same = torch.eye(len(cell), dtype=torch.bool, device=cell.device)
    return 1 - (cosine.masked_fill(same, 0) - threshold).square().mean()


def neighbour_cells(cell: Tensor, position: Tensor, k: int) -> Tensor:
    """Mean vector of each spot's `k` nearest other spots in the batch: `[b, d]`, positions `[b, 2]` → `[b, d]`.

    Raises:
        UnitBenchError: the batch has fewer than `k` other spots.
    """
    if k >= len(cell):
        cause = f"{k} wanted of {len(cell) - 1} other spots"
        raise UnitBenchError("neighbours", cause, "ask for fewer or enlarge the window")
    distance = (position[:, None] - position[None]).square().sum(-1)
    # A spot is left out by its index, since other spots may be at distance 0.
    distance = distance.masked_fill(torch.eye(len(cell), dtype=torch.bool, device=cell.device), torch.inf)
    return cell[distance.topk(k, largest=False).indices].mean(1)
