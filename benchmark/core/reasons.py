"""The reason of a failed arm, as score rows give it: the error in one line, and the file that has its traceback."""

from __future__ import annotations

from pathlib import PurePath
from typing import NamedTuple

from benchmark.core.errors import UnitBenchError

SEPARATOR = "; traceback: "


class Reason(NamedTuple):
    """`traceback`: the file, relative to the folder of the run's results; empty where there is none."""

    cause: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.cause}{SEPARATOR}{self.traceback}" if self.traceback else self.cause


def reason_of(error: Exception, traceback: PurePath) -> Reason:
    """An error in one line. Its class is named too, unless the message was written for users."""
    text = str(error) if isinstance(error, UnitBenchError) else f"{type(error).__name__}: {error}"
    return Reason(" ".join(text.split()), traceback.as_posix())


def read_reason(text: str) -> Reason:
    """The two parts of the reason of a score row."""
    cause, _, traceback = text.partition(SEPARATOR)
    return Reason(cause, traceback)
