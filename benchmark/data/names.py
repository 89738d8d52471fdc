"""Names of slides and donors: each is fit to name a file, a row of a table and a key, on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from benchmark.core.errors import UnitBenchError

RESERVED = frozenset({"pooled", "file", "all"})  # the benchmark calls other things by them
WINDOWS = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})
FORBIDDEN = '/\\:*?"<>|'  # in names of files, on one system or another
LONGEST = 200  # bytes: a name of a file has at most 255, and gets a suffix
MISSING = frozenset({"", "nan", "none", "na", "n/a", "<na>", "null"})  # words that mean "no value", in any case


def is_missing(value: object) -> bool:
    """Whether a value is missing, empty, or one of the words that mean so, such as "NA"."""
    import pandas as pd

    return value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) or _folded(str(value)) in MISSING


def check_slide_name(name: str, where: object) -> None:
    """Raises UnitBenchError: the name cannot be that of a file on every system, or has another meaning here."""
    if not name.isprintable() or (bad := set(FORBIDDEN) & set(name)):
        what = f"has {min(bad)!r}" if name.isprintable() else "has characters that cannot be printed"
    elif not name or name != name.strip() or name[0] == "." or name[-1] == ".":
        what = "is empty, or begins or ends with a blank or a dot"
    elif _folded(name) in RESERVED or _folded(name).split(".")[0] in WINDOWS:
        what = "is reserved"
    elif len(name.encode()) > LONGEST:
        what = f"has more than {LONGEST} bytes"
    else:
        return
    raise UnitBenchError(where, f"the slide's name {name[:60]!r} {what}", "rename the slide (its file)")


def check_donor(name: str, where: object, what: str) -> None:
    """Raises UnitBenchError: the donor or group is missing, or has a name that cannot stand in a row.

    Args:
        what: "donor" or "group".
    """
    if is_missing(name):
        raise UnitBenchError(where, f"the {what} is missing ({name!r})", f"give every slide a {what}")
    if name != name.strip() or not name.isprintable() or _folded(name) in RESERVED:
        cause = f"the {what} {name[:60]!r} is reserved, or has blanks around it or characters that cannot be printed"
        raise UnitBenchError(where, cause, f"rename the {what}")


def check_twins(names: Iterable[str], what: str) -> None:
    """Raises UnitBenchError: two names differ in case alone. They would be one file on some systems, or are a slip."""
    known: dict[str, str] = {}
    for name in names:
        if (twin := known.setdefault(_folded(name), name)) != name:
            raise UnitBenchError(
                f"{what} {name!r}", f"differs from {what} {twin!r} in case alone", f"rename one {what}"
            )


def _folded(name: str) -> str:
    """The name as systems compare it that do not tell upper from lower case."""
    return unicodedata.normalize("NFC", name).strip().casefold()
