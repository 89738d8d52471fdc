"""An answer to a question of the benchmark, and how its sentence writes budgets, differences and p."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.report import words
from benchmark.stats.names import budget_label

YES, NOT_SHOWN, UNKNOWN, MEASURED = "yes", "not shown", "cannot tell", "measured"


class Answer(NamedTuple):
    """`short`: one of the words above, or a count such as "1 of 2". `text`: a sentence with the numbers."""

    short: str
    text: str


def cannot(reason: str) -> Answer:
    """The answer of a run that cannot tell."""
    return Answer(UNKNOWN, f"This run cannot tell: {reason}.")


def amount(axis: str, budget: float) -> str:
    """A budget, as in "4 TFLOP"."""
    return budget_label(axis, budget, "any")


def signed(row: pd.Series | Mapping[str, Any], key: str = "difference") -> str:
    """A difference with its interval, of a row that has low and high; of another key, key_low and key_high."""
    prefix = "" if key == "difference" else f"{key}_"
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    text = f"{row[key]:+.2f}" + ("" if np.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")
    return text.replace("-", "−")


def shared(row: pd.Series | Mapping[str, Any]) -> str:
    """Over how many (donor, seed) a paired test is, where that is not all; else empty."""
    return words.of_pairs(row["n_pairs"], row["n_possible"])


def p_text(p: float) -> str:
    """p with two digits, on one line."""
    return f"p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{p:.2g}" if p >= 0.001 else "p < 0.001"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[0].upper() + text[1:] + "."
