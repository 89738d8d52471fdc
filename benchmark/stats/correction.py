"""One correction over all tests of a page, and the verdicts that follow from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.stats import intervals

ALPHA = 0.05
CLEAR, TOO_FEW, UNCLEAR = "a clear difference", "too few donors to tell", "no clear difference"


def corrected(*tables: pd.DataFrame) -> list[pd.DataFrame]:
    """Tables of tests with the columns p_holm and verdict, by Holm's correction over all tests of all tables together.

    Args:
        tables: one test per row. p: NaN where nothing was tested. least: the smallest p that so few donors (or folds
            that share a model) could have given. Optional are clear and unclear: the verdict where the corrected p is
            below `ALPHA`, and where it is not.
    """
    p = np.concatenate([table["p"].to_numpy(dtype=float) for table in tables])
    tested = ~np.isnan(p)
    p[tested] = intervals.holm(p[tested])
    parts = np.split(p, np.cumsum([len(table) for table in tables])[:-1])
    return [_judged(table, part, int(tested.sum())) for table, part in zip(tables, parts, strict=True)]


def _judged(table: pd.DataFrame, p_holm: np.ndarray, n_tests: int) -> pd.DataFrame:
    clear, unclear = (table.get(name, pd.Series(word, table.index)) for name, word in _WORDS.items())
    verdict = np.where(n_tests * table["least"].astype(float) >= ALPHA, TOO_FEW, unclear)
    verdict = np.where(p_holm < ALPHA, clear, verdict)
    return table.assign(p_holm=p_holm, verdict=np.where(np.isnan(p_holm), "", verdict).astype(object))


_WORDS = {"clear": CLEAR, "unclear": UNCLEAR}
