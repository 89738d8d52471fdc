"""The one exception for users: one line with the file or key, the cause and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnitBenchError(Exception):
    """Bad input. The command line prints it as one line and exits with 2.

    Args:
        where: the file, key or plugin at fault.
        cause: what is wrong.
        remedy: what to do, in the imperative.
    """

    def __init__(self, where: object, cause: str, remedy: str = ""):
        self.where, self.cause, self.remedy = str(where), cause, remedy
        super().__init__(f"{where}: {cause}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple:
        """So that it can be sent by another process."""
        return type(self), (self.where, self.cause, self.remedy)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the known name that is most like it, or a list of all known names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
