"""One training step on the device: forward, backward and AdamW, in the wanted precision, compiled on a GPU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch

from benchmark.training.flops import count_flops
from benchmark.training.machine import BY_WIDTH, WIDE, machine

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FUSED = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)  # older ones fuse on the GPU alone


class Step:
    """The step of a module, which it trains in place.

    Args:
        module: as `benchmark.core.contracts.Module` says.
        wanted: as `Budget.precision`.
    """

    def __init__(self, module: torch.nn.Module, learning_rate: float, wanted: str):
        self.fabric = make_fabric(wanted, module)
        self.device = self.fabric.device
        self.module = module
        self.model, self.optimizer = set_up(self.fabric, module, make_optimizer(module, learning_rate))
        self.model.train()
        self._flops: dict[tuple[object, ...], int] = {}

    def flops(self, batch: dict[str, torch.Tensor], hidden: tuple[torch.Tensor, ...], phase: object = None) -> int:
        """FLOPs of the step. They are counted once for all steps of a phase whose tensors have the same shapes.

        On a GPU a new shape is compiled here, by a step that changes no parameter, so that no clock counts the time.
        """
        kind = (phase, *(tensor.shape for tensor in (*batch.values(), *hidden)))
        if kind not in self._flops:
            self._flops[kind] = count_flops(self.module, batch, *hidden)
            if self.device.type == "cuda":
                self.fabric.backward(self.model(batch, *hidden))
                self.optimizer.zero_grad()
        return self._flops[kind]

    def update(
        self, batch: dict[str, torch.Tensor], hidden: tuple[torch.Tensor, ...], learning_rate: float
    ) -> torch.Tensor:
        """Take the step. Returns its loss, a scalar."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self.model(batch, *hidden)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.model, self.optimizer, max_norm=1.0, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def make_fabric(wanted: str, module: torch.nn.Module | None = None) -> Fabric:
    """The machine's best device, in the `precision` of the module."""
    from lightning_fabric import Fabric  # slow to import, and many processes never train

    fabric = Fabric(accelerator="auto", devices=1, precision=precision(wanted, module))
    # Autocast alone chooses what is computed in bf16. Fabric would also round every input, such as positions: from 256
    # pitches on, neighbours would lie in one place.
    fabric._precision.convert_input = lambda data: data
    return fabric


def make_optimizer(module: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW, with the same settings for every unit."""
    return torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=0.05, betas=(0.9, 0.95), fused=FUSED)


def set_up(fabric: Fabric, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """The module and its optimiser on the device.

    On a GPU the module is compiled in place: its state keeps its names, and a copy of it is not compiled. The second
    compilation leaves the sizes that differ open, and serves all later shapes, since those of a unit differ in their
    number of tokens alone.
    """
    if fabric.device.type == "cuda":
        module.compile()
    return fabric.setup(module, optimizer)


def precision(wanted: str, module: torch.nn.Module | None = None) -> Literal["bf16-mixed", "32-true"]:
    """Fabric's name of a precision. "auto" is bf16 where a step of the module is then faster than in float32.

    That is so on GPUs and with AMX; with AVX-512 BF16 for wide modules alone, since narrow ones lose more to
    conversions than they gain. The rule was measured (docs/speed.md) and reads no clock, so a run repeats to the bit.
    """
    here = machine(wanted)["precision"]
    bf16 = here == "bf16" or (here == BY_WIDTH and module is not None and wide(module))
    return "bf16-mixed" if bf16 else "32-true"


def wide(module: torch.nn.Module) -> bool:
    """Whether most weights are in matrices of `WIDE` rows and columns, or more."""
    matrices = [parameter.shape for parameter in module.parameters() if parameter.dim() == 2]
    return 2 * sum(math.prod(shape) for shape in matrices if min(shape) >= WIDE) > sum(map(math.prod, matrices))
