"""What results depend on beside code and data: the version of PyTorch, the device, and the precision of training."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

WIDE = 256  # width from which a step is faster in bf16 with AVX-512 BF16
BY_WIDTH = f"bf16 from a width of {WIDE}, else fp32"


def machine(precision: str) -> dict[str, str]:
    """`torch`, `device` and `precision` that training has here. PyTorch is not imported, and no device is set up.

    Args:
        precision: as `Budget.precision`. "auto" becomes what `benchmark.training.step.precision` makes of it.

    Returns:
        The version of PyTorch; the name of the first GPU, "mps" or "cpu"; "bf16", "fp32" or `BY_WIDTH`.
    """
    torch = _torch()
    gpu = None if "+cpu" in torch else _gpu(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if precision == "auto":
        flags = _flags()
        precision = "bf16" if gpu or "amx_bf16" in flags else BY_WIDTH if "avx512_bf16" in flags else "fp32"
    apple = (platform.system(), platform.machine()) == ("Darwin", "arm64")
    return {"torch": torch, "device": gpu or ("mps" if apple else "cpu"), "precision": precision}


def _torch() -> str:
    """The version of PyTorch with that of its build, such as "2.9.0+cu130", read from its file; "none" without it."""
    spec = find_spec("torch")
    file = Path(spec.origin or "").with_name("version.py") if spec else Path()
    found = re.search(r"__version__ = '(.+)'", file.read_text(encoding="utf-8")) if file.is_file() else None
    return found[1] if found else "none"


@cache
def _gpu(visible: str | None) -> str | None:
    """The name of the first of the visible GPUs, of which NVIDIA's own program tells.

    Args:
        visible: numbers and identifiers as in CUDA_VISIBLE_DEVICES; None: all are visible.
    """
    if (visible is not None and not visible.strip()) or not (program := shutil.which("nvidia-smi")):
        return None
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    gpus = re.findall(r"^GPU (\d+): (.+) \(UUID: (\S+)\)", listed, re.MULTILINE)
    if visible is None:
        return gpus[0][1] if gpus else None
    first = visible.split(",")[0].strip()
    parts = re.findall(r"\(UUID: (MIG-\S+)\)", listed)  # of a GPU that is shared
    if any(part.startswith(first) for part in parts if first.startswith("MIG-")):
        return f"{gpus[0][1]} (a part)" if gpus else None
    return next((name for number, name, key in gpus if first == number or key.startswith(first)), None)


@cache
def _flags() -> frozenset[str]:
    """What the processor can do, by Linux's names; empty elsewhere."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    return (
        frozenset(found[1].split()) if (found := re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)) else frozenset()
    )
