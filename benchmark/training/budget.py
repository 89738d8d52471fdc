"""The budget: what an arm may spend on pretraining, and the meter that counts what it has spent."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError

if TYPE_CHECKING:
    import torch

Axis = Literal["flops", "device_seconds", "spots"]
TOLERANCE = 0.02  # spent and target agree within this share, or the arm fails

# Operations that do work in proportion to their input's structure, which no formula of the counter covers.
_UNCOUNTED = (
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


@dataclass(frozen=True)
class Budget:
    """What `fit` is given: an amount on one axis, where to keep a checkpoint, whom to tell of progress."""

    axis: Axis
    amount: float
    precision: str = "auto"
    checkpoint: Path | None = None
    progress: Callable[[float, str], None] = lambda fraction, text: None


@dataclass
class Meter:
    """What has been spent. Its state lives in the checkpoint, so a resumed run ends with an unbroken one's totals."""

    axis: Axis
    amount: float
    flops: float = 0.0
    device_seconds: float = 0.0
    spots: int = 0
    steps: int = 0
    seen: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    peak_memory_bytes: int = 0
    energy_joules: float | None = None
    step_cost: float = 0.0  # of the last step, on the axis

    @property
    def spent(self) -> float:
        return getattr(self, self.axis)

    @property
    def fraction(self) -> float:
        return self.spent / self.amount

    def has_room(self, cost: float) -> bool:
        """Whether one more step of `cost` ends nearer to the amount than stopping now does."""
        return self.spent + cost / 2 <= self.amount

    def check(self) -> None:
        """Raises UnitBenchError where spent and target differ by over 2%."""
        if abs(self.fraction - 1) > TOLERANCE:
            raise UnitBenchError(
                f"budget {self.axis}",
                f"spent {self.spent:.3g} of {self.amount:.3g} in {self.steps} steps",
                "give a larger budget or smaller batches, so that one step is under 4% of it",
            )

    def record(self) -> dict:
        """Every count, whichever is matched; None where the device has no counter."""
        record = asdict(self)
        record["unique_spots"] = int(record.pop("seen").sum())
        del record["step_cost"]
        return record


def count_flops(module: torch.nn.Module, batch: dict[str, torch.Tensor], *inputs: torch.Tensor) -> int:
    """FLOPs of a full forward and backward step, counted on the meta device, where no kernel hides attention.

    A module with operations outside the counter's reach adds them through `extra_flops(batch) -> int`.

    Raises:
        UnitBenchError: the module runs such an operation and brings no count of its own.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    unknown: set[str] = set()
    own = {torch.ops.aten.convolution_backward: _convolution_backward}
    counter = FlopCounterMode(display=False, custom_mapping=own)

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            packet = function._overloadpacket
            foreign = not function.name().startswith(("aten::", "prim"))
            if packet not in counter.flop_registry and (foreign or any(part in str(packet) for part in _UNCOUNTED)):
                unknown.add(function.name())
            return function(*args, **(kwargs or {}))

    meta = copy.deepcopy(module).to("meta").train()
    batch = {name: value.to("meta") for name, value in batch.items()}
    with Watch(), counter:
        meta(batch, *(value.to("meta") for value in inputs)).backward()
    extra = offer(module, "extra_flops")
    if unknown and extra is None:
        raise UnitBenchError(
            type(module).__name__,
            f"FLOPs of {', '.join(sorted(unknown))} cannot be counted",
            "define extra_flops(batch)",
        )
    return counter.get_total_flops() + (extra(batch) if extra else 0)


def _convolution_backward(grad_out, x, weight, *options, out_shape=None, **kwargs) -> int:
    """FLOPs of a convolution's gradients: its forward pass again, once for the input and once for the weights.

    PyTorch's own formula lets every output channel of a grouped convolution read every input channel: at 64 channels,
    33 times the work of a depthwise one.
    """
    from torch.utils.flop_counter import conv_flop_count

    transposed, output_mask = options[4], options[-1]
    return conv_flop_count(x, weight, grad_out, transposed) * sum(output_mask[:2])


@contextmanager
def clock(meter: Meter, device: torch.device):
    """Adds the time of its body to the meter, the device's queue emptied at both ends."""
    import torch

    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    yield
    wait()
    meter.device_seconds += time.perf_counter() - start


class MemoryAndEnergy:
    """Peak memory and energy of a stretch of work: the allocator's and NVML's on a GPU, the process's peak on a CPU."""

    def __init__(self, device: torch.device):
        self.device = device
        self._joules = _joules(device)
        if device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_peak_rss()

    def read(self, meter: Meter) -> None:
        if self.device.type == "cuda":
            import torch

            peak = torch.cuda.max_memory_allocated(self.device)
        else:
            peak = _peak_rss()
        meter.peak_memory_bytes = max(meter.peak_memory_bytes, peak)
        if self._joules is not None:
            now = _joules(self.device)
            meter.energy_joules = (meter.energy_joules or 0.0) + now - self._joules
            self._joules = now


def _reset_peak_rss() -> None:
    with suppress(OSError):  # not Linux: the peak is then that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def _peak_rss() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _joules(device: torch.device) -> float | None:
    """NVML's cumulative counter (Volta or newer); None where there is none."""
    if device.type != "cuda":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)) / 1000
    except Exception:
        return None
