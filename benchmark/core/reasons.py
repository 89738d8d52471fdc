"""The reason of a failed arm, as score rows give it: the error in one line, and the file that has its traceback."""

from __future__ import annotations

import traceback as tracebacks
from pathlib import Path, PurePath
from typing import NamedTuple

from benchmark.core.errors import UnitBenchError

SEPARATOR = "; traceback: "


class Reason(NamedTuple):
    """`traceback`: the file, relative to the folder of the run's results; empty where there is none."""

    cause: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.cause}{SEPARATOR}{self.traceback}" if self.traceback else self.cause


def reason_of(error: Exception, traceback: PurePath | None = None, home: Path | None = None) -> Reason:
    """An error in one line. One that was not meant for users is given with its class, and the line that it came from.

    Args:
        home: file or folder of the plugin; the last line within it is named, or else the last line of all.
    """
    if isinstance(error, UnitBenchError):
        text = str(error)
    else:
        text = f"{type(error).__name__} at {line_of(error, home)}: {error}"
        if isinstance(error, ValueError) and "read-only" in text:
            text += "; slides are shared, so change a copy: slide.copy()"
    return Reason(" ".join(text.split()), traceback.as_posix() if traceback else "")


def line_of(error: Exception, home: Path | None) -> str:
    """The line of an error as "file:line"."""
    frames = tracebacks.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown line"
    own = [frame for frame in frames if home and Path(frame.filename).is_relative_to(home)]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def read_reason(text: str) -> Reason:
    """The two parts of the reason of a score row."""
    cause, _, traceback = text.partition(SEPARATOR)
    return Reason(cause, traceback)
