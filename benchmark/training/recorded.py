"""A training step on a GPU as one CUDA graph: recorded once for each shape of its tensors, and then replayed.

The kernels of a small step take less time than Python needs to start them one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Tensors = dict[str, torch.Tensor]
Hidden = tuple[torch.Tensor, ...]
MOST = 8  # graphs that are kept, since each has memory of its own


class Recorder:
    """Calls `take(batch, hidden)`, a whole step that gives a loss, or replays what it did.

    The first step of a kind is taken as it is: it compiles kernels and makes the optimiser's state. The second is
    recorded. Work whose course hangs on the values of tensors cannot be recorded, and the count of FLOPs has refused it
    before; what cannot be recorded for another reason is taken as it is.

    Args:
        forget: removes the gradients that a recording has left which did not end.
    """

    def __init__(self, take: Callable[[Tensors, Hidden], torch.Tensor], forget: Callable[[], object]):
        self._take, self._forget = take, forget
        self._of: dict[object, Recorded | None] = {}
        self._can = True

    def __call__(self, batch: Tensors, hidden: Hidden, phase: object = None) -> torch.Tensor:
        """The loss of the step, a scalar."""
        kind = (phase, *(tensor.shape for tensor in (*batch.values(), *hidden)))
        if kind in self._of:
            self._of[kind] = self._of[kind] or self._record(batch, hidden)
        elif len(self._of) < MOST:
            self._of[kind] = None
        recorded = self._of.get(kind)
        return recorded(batch, hidden) if recorded else self._take(batch, hidden)

    def _record(self, batch: Tensors, hidden: Hidden) -> Recorded | None:
        if self._can:
            try:
                return Recorded(self._take, batch, hidden)
            except RuntimeError:
                self._can = False
                self._forget()
        return None


class Recorded:
    """The graph of a step, and the tensors that it reads."""

    def __init__(self, take: Callable[[Tensors, Hidden], torch.Tensor], batch: Tensors, hidden: Hidden):
        self._batch = {name: tensor.clone() for name, tensor in batch.items()}
        self._hidden = tuple(tensor.clone() for tensor in hidden)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = take(self._batch, self._hidden)

    def __call__(self, batch: Tensors, hidden: Hidden) -> torch.Tensor:
        for name, tensor in batch.items():
            self._batch[name].copy_(tensor)
        for own, tensor in zip(self._hidden, hidden, strict=True):
            own.copy_(tensor)
        self._graph.replay()
        return self._loss.clone()
