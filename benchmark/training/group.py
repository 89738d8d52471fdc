"""The processes that share a training, one for each device, and what they tell each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")


class Group:
    """This process among the others of `fabric`; None: alone. All processes must make the same calls.

    Attributes:
        n: how many processes there are.
        rank: the number of this one. The first, 0, writes files and reports progress.
    """

    def __init__(self, fabric: Fabric | None = None):
        self.n, self.rank = (1, 0) if fabric is None else (fabric.world_size, fabric.global_rank)
        self._fabric = fabric if self.n > 1 else None

    def wait(self) -> None:
        """Until all are here."""
        if self._fabric:
            self._fabric.barrier()

    def tell(self, value: T) -> T:
        """What the first process has as this value."""
        return self._fabric.broadcast(value) if self._fabric else value

    def total(self, value: float) -> float:
        """The sum of this value over all."""
        return self._over_all(value, dist.ReduceOp.SUM)

    def most(self, value: float) -> float:
        """The greatest of this value over all."""
        return self._over_all(value, dist.ReduceOp.MAX)

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of this tensor over all; it is overwritten."""
        if self._fabric:
            dist.all_reduce(value)
            value /= self.n
        return value

    def _over_all(self, value: float, by: dist.ReduceOp.RedOpType) -> float:
        if not self._fabric:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self._fabric.device)
        dist.all_reduce(tensor, by)
        return tensor.item()


ALONE = Group()
