"""Memory-mapped files that this process has open. Their pages in memory can be given back to the system."""

from __future__ import annotations

import mmap
import weakref
from pathlib import Path

import numpy as np

MOST = 2**28  # bytes of mapped files that stay in the memory of a process
LIBRARIES = 2**28  # bytes of mapped files that are libraries, about
STATUS = Path("/proc/self/status")
_OPEN: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def mapped(path: Path, mode: str) -> np.ndarray:
    """The bytes of a file, memory-mapped, uint8 `[n]`; `mode`: "r" or "r+"."""
    whole = np.memmap(path, np.uint8, mode)
    _OPEN.add(whole._mmap)
    return whole.view(np.ndarray)


def give_back() -> None:
    """Give back the pages of mapped files, if they are more than `MOST` bytes: they are read again when asked for.

    Without it a process that reads a large corpus at random seems to hold all of it. Does nothing where the system
    does not tell.
    """
    if not (STATUS.exists() and hasattr(mmap, "MADV_DONTNEED")):
        return
    sizes = [line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("RssFile")]
    if sizes and int(sizes[0]) * 1024 > MOST + LIBRARIES:
        for file in list(_OPEN):
            file.madvise(mmap.MADV_DONTNEED)
