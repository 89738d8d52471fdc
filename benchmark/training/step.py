"""One training step on the device: forward, backward and AdamW, in the wanted precision, compiled on a GPU."""

from __future__ import annotations

import copy
import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import torch

from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.training import sharded
from benchmark.training.budget import ONE_DEVICE, Training
from benchmark.training.flops import count_flops
from benchmark.training.group import Group
from benchmark.training.machine import BY_WIDTH, WIDE, machine
from benchmark.training.recorded import Recorder
from benchmark.training.turns import turns

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

FUSED = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)  # older ones fuse on the GPU alone


class Step:
    """The step of a module, which it trains in place.

    Args:
        module: as `benchmark.core.contracts.Module` says.
        wanted: as `Budget.precision`.
        training: on how many devices, of which this process has one.
    """

    def __init__(self, module: torch.nn.Module, learning_rate: float, wanted: str, training: Training = ONE_DEVICE):
        self.fabric, self.training = make_fabric(wanted, module, training), training
        self.device, self.group = self.fabric.device, Group(self.fabric)
        self.module = self._counted = module
        if training.n_devices > 1:
            self.fabric.launch()  # joins the other processes
        if self.sharded:
            self._counted = copy.deepcopy(module).to("meta")  # of a divided module there is no copy
            self.model = self.fabric.setup_module(module)
            self.optimizer = self.fabric.setup_optimizers(make_optimizer(module, learning_rate))
        else:
            self.model, self.optimizer = set_up(self.fabric, module, make_optimizer(module, learning_rate))
        self.model.train()
        self._phase: object = None
        alone = self.device.type == "cuda" and training.n_devices == 1
        self._recorder = Recorder(self._take, self.optimizer.zero_grad) if alone else None
        self._rate = torch.zeros((), device=self.device)
        self._flops: dict[tuple[object, ...], int] = {}

    @property
    def sharded(self) -> bool:
        """Whether each device holds a part of the module."""
        return self.training.strategy == "fsdp" and self.training.n_devices > 1

    def advance(self, fraction: float) -> object:
        """Tell the module the fraction of the budget spent. Returns its phase, None for a module that has none."""
        phase = None
        for module in dict.fromkeys((self._counted, self.module)):
            if advance := offer(module, "advance"):
                phase = advance(fraction)
        self._phase = phase
        return phase

    def flops(self, batch: dict[str, torch.Tensor], hidden: tuple[torch.Tensor, ...], phase: object = None) -> int:
        """FLOPs of the whole step. They are counted once for all steps of a phase whose tensors have the same shapes.

        On a GPU a new shape is compiled here, by a step that changes no parameter, so that no clock counts the time. So
        is the first step of several processes, in which they set much up.
        """
        kind = (phase, *(tensor.shape for tensor in (*batch.values(), *hidden)))
        if kind not in self._flops:
            first = not self._flops
            self._flops[kind] = count_flops(self._counted, batch, *hidden)
            if self.device.type == "cuda" or (first and self.group.n > 1):
                self._backward(batch, hidden)
                self.optimizer.zero_grad()
            self.group.wait()
        return self._flops[kind]

    def update(
        self, batch: dict[str, torch.Tensor], hidden: tuple[torch.Tensor, ...], learning_rate: float
    ) -> torch.Tensor:
        """Take the step. Returns its loss, a scalar."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate.fill_(learning_rate) if self._recorder else learning_rate
        if self._recorder:
            return self._recorder(batch, hidden, self._phase)
        return self.group.mean(self._take(batch, hidden))

    def _take(self, batch: dict[str, torch.Tensor], hidden: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The whole step on this device. Returns its part of the loss."""
        loss = self._backward(batch, hidden)
        self.fabric.clip_gradients(self.model, self.optimizer, max_norm=1.0, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _backward(self, batch: dict[str, torch.Tensor], hidden: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Gradients of the whole step, from this device's turns. Returns its part of the loss."""
        total, own = 0, turns(self.module, batch, hidden, self.training, self.group.rank)
        for i, turn in enumerate(own):
            with self.fabric.no_backward_sync(self.model, enabled=i < len(own) - 1):
                loss = self.model(turn.batch, *turn.hidden) * turn.weight
                self.fabric.backward(loss)
            total = total + loss.detach()
        return total


def make_fabric(wanted: str, module: torch.nn.Module | None = None, training: Training = ONE_DEVICE) -> Fabric:
    """The machine's best device, or the one of them that is this process's, in the `precision` of the module.

    Raises:
        UnitBenchError: there are not so many devices.
    """
    from lightning_fabric import Fabric  # slow to import, and many processes never train
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    strategy: Any = "auto"
    if training.n_devices > 1:
        strategy = sharded.strategy(training.n_devices) if training.strategy == "fsdp" else whole_strategy()
    try:
        with warnings.catch_warnings():
            if training.n_devices == 1:  # which needs no launcher, where Slurm is installed
                warnings.filterwarnings("ignore", ".*`srun` command is available")
            fabric = Fabric(
                accelerator="auto",
                strategy=strategy,
                devices=training.devices,
                num_nodes=training.nodes,
                precision=precision(wanted, module),
            )
    except MisconfigurationException as error:
        raise UnitBenchError("training.devices", " ".join(str(error).split()), "ask for fewer") from None
    # Autocast alone chooses what is computed in bf16. Fabric would also round every input, such as positions: from 256
    # pitches on, neighbours would lie in one place.
    fabric._precision.convert_input = lambda data: data
    return fabric


def whole_strategy() -> DDPStrategy:
    """The strategy "ddp". As on one device, a weight may be without a gradient."""
    from lightning_fabric.strategies import DDPStrategy

    return DDPStrategy(find_unused_parameters=True)


def make_optimizer(module: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """AdamW, with the same settings for every unit."""
    return torch.optim.AdamW(
        module.parameters(),
        lr=learning_rate,
        weight_decay=0.05,
        betas=(0.9, 0.95),
        fused=FUSED,
        capturable=torch.cuda.is_available(),
    )


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
