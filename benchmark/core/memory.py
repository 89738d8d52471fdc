"""The most memory that this process has held, in bytes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def reset_peak_rss() -> None:
    """Count from now on; where the system cannot, the peak stays that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_rss() -> int:
    """The peak of resident memory. Linux tells that of this program alone; `getrusage`, asked elsewhere, also counts
    what the process that started it held at that moment."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
