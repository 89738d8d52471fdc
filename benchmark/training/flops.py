"""FLOPs of a training step, counted without running it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError

# Operations whose work depends on the structure of their input. The counter has no formula for them.
UNCOUNTED = (
    "sparse",
    "scatter",
    "index_add",
    "segment_reduce",
    "attention",
    "lstm",
    "gru",
    "rnn",
    "fft",
    "cdist",
    "linalg",
)


def count_flops(module: torch.nn.Module, batch: dict[str, torch.Tensor], *inputs: torch.Tensor) -> int:
    """FLOPs of a full forward and backward step. They are counted on the meta device, where no kernel hides attention.

    A module with operations that the counter cannot see adds them through `extra_flops(batch) -> int`.

    Raises:
        UnitBenchError: the module runs such an operation and has no `extra_flops`.
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward}
    )
    watch = _Watch(counter)
    meta = copy.deepcopy(module).to("meta").train()
    batch = {name: value.to("meta") for name, value in batch.items()}
    with watch, counter:
        meta(batch, *(value.to("meta") for value in inputs)).backward()
    extra = offer(module, "extra_flops")
    if watch.unknown and extra is None:
        raise UnitBenchError(
            type(module).__name__,
            f"FLOPs of {', '.join(sorted(watch.unknown))} cannot be counted",
            "define extra_flops(batch)",
        )
    return counter.get_total_flops() + (extra(batch) if extra else 0)


class _Watch(TorchDispatchMode):
    """Notes the operations that the counter has no formula for: `UNCOUNTED`, and all that are not PyTorch's own."""

    def __init__(self, counter: FlopCounterMode):
        super().__init__()
        self.unknown: set[str] = set()
        self._formulas = counter.flop_registry

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = function._overloadpacket
        foreign = not function.name().startswith(("aten::", "prim"))
        if packet not in self._formulas and (foreign or any(part in str(packet) for part in UNCOUNTED)):
            self.unknown.add(function.name())
        return function(*args, **(kwargs or {}))


def _convolution_backward(grad_out: Any, x: Any, weight: Any, *options: Any, **named: Any) -> int:
    """FLOPs of a convolution's gradients: its forward pass again, once for the input and once for the weights.

    PyTorch's own formula is wrong for grouped convolutions: it lets every output channel read every input channel. At
    64 channels that is 33 times the work of a depthwise convolution.
    """
    transposed, output_mask = options[4], options[-1]
    return conv_flop_count(x, weight, grad_out, transposed) * sum(output_mask[:2])
