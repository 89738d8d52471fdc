"""What counts as a label: text without blanks around it. Words such as "NA", and nothing at all, mean unlabelled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from benchmark.data.names import is_missing


def clean(values: Sequence | np.ndarray | pd.Series, unlabelled: Collection[str] = ()) -> pd.Categorical:
    """Labels as a categorical of text, `[n_spots]`, whose categories are all used.

    A whole number is the same label whether it is written 1 or 1.0: a column of integers with a gap has floats.

    Args:
        values: of any type; missing where unlabelled.
        unlabelled: labels that mean "no label" too.
    """
    code, found = pd.factorize(np.asarray(values, dtype=object))
    names = [None if (name := text(value)) in unlabelled or is_missing(name) else name for value in found]
    return pd.Categorical(np.array([*names, None], dtype=object)[code])  # -1, missing, takes the last


def text(value: object) -> str:
    """A value as text, without blanks around it; a whole number without a decimal point."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()
