"""The benchmark's own count of what a method spends outside the benchmark's loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils.flop_counter import flop_registry


class Watch(TorchDispatchMode):
    """Counts, within its `with`, the FLOPs of torch's operations, by PyTorch's own formulas.

    Attributes:
        flops: so far.
        gradients: whether any were taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.gradients = False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function._overloadpacket not in flop_registry and function is not torch.ops.prim.device.default:
            with self:  # in inference mode the operations that have a formula are inside of others
                out = function.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = function(*args, **kwargs)
        if formula := flop_registry.get(function._overloadpacket):
            self.flops += formula(*args, **kwargs, out_val=out)
        self.gradients |= torch._C._current_graph_task_id() >= 0
        return out


@contextmanager
def unwatched() -> Iterator[None]:
    """A stretch of work that counts for itself: nothing of it is counted twice, or slowed down."""
    with _disable_current_modes():
        yield
