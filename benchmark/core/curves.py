"""The course of the trainings of a run as one long table: losses and speeds, and R² on held-out slides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

ARM = ["dataset", "fold", "method", "options", "unit", "budget_axis", "budget", "seed"]
COLUMNS = [*ARM, "slide", "flops", "name", "value"]
TYPES = {"budget": float, "flops": float, "value": float}
NO_CURVES = pd.DataFrame(columns=COLUMNS).astype(TYPES)


def curve_table(points: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Points as one table in a fixed order, so that the same points give the same file.

    Args:
        points: the columns `COLUMNS` of each. slide: "" for numbers of the training itself. flops: spent so far.
    """
    table = pd.DataFrame([*points], columns=COLUMNS).astype(TYPES)
    return table.sort_values(COLUMNS, kind="stable", ignore_index=True)
