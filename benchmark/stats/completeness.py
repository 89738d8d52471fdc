"""Which entrants have every score of a contest, and what the others lack: an incomplete entrant has no rank."""

from __future__ import annotations

import pandas as pd

from benchmark.stats.contests import CONTEST
from benchmark.stats.rows import ENTRANT, PLACE, arms

MOST = 6  # donors that a sentence names


def completeness(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """One row per contest and entrant that has a score in it.

    A place is a (slide, fold, seed). Expected are those that any entrant has a score for: where a slide cannot be
    scored for anybody, nobody lacks it. An entrant of which an arm failed is not complete either, even if all others
    failed there too.

    Args:
        rows: score rows.
        measured: `scores(rows)`.

    Returns:
        CONTEST, ENTRANT, n_present, n_expected, and missing: what the entrant lacks, by donor, as text; "" if nothing.
    """
    places = measured.drop_duplicates([*CONTEST, *PLACE])[[*CONTEST, "block", *PLACE]]
    present = measured.drop_duplicates([*CONTEST, *ENTRANT, *PLACE])[[*CONTEST, *ENTRANT, *PLACE]]
    counts = present.groupby([*CONTEST, *ENTRANT]).size().rename("n_present").reset_index()
    counts = counts.merge(places.groupby(CONTEST).size().rename("n_expected").reset_index(), on=CONTEST)
    lacking = counts[counts["n_present"] < counts["n_expected"]][[*CONTEST, *ENTRANT]].merge(places, on=CONTEST)
    lacking = lacking.merge(present, how="left", on=[*CONTEST, *ENTRANT, *PLACE], indicator=True)
    lacking = lacking[lacking["_merge"] == "left_only"]
    texts = pd.Series(
        {key: _lacks(part) for key, part in lacking.groupby([*CONTEST, *ENTRANT])}, dtype=object, name="missing"
    )
    texts.index = pd.MultiIndex.from_tuples(texts.index, names=[*CONTEST, *ENTRANT])
    counts = counts.join(texts, on=[*CONTEST, *ENTRANT]) if len(texts) else counts.assign(missing=None)
    return counts.assign(missing=counts["missing"].fillna(_failed(rows, counts)))


def complete(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.MultiIndex:
    """The (contest, entrant) that are complete, as CONTEST and ENTRANT."""
    table = completeness(rows, measured)
    return pd.MultiIndex.from_frame(table.loc[table["missing"] == "", [*CONTEST, *ENTRANT]])


def _lacks(places: pd.DataFrame) -> str:
    """As in "lacks 4 scores: donor C (C1: 1), donor F (F1: 3)"; the counts are over folds or repeats and seeds."""
    parts = []
    for block, group in places.groupby("block"):
        slides = group["slide"].value_counts().sort_index()
        named = ", ".join(f"{slide}: {n}" for slide, n in slides.head(MOST).items())
        more = f" and {len(slides) - MOST} more slides" if len(slides) > MOST else ""
        parts.append(f"{block}: {len(group)}" if slides.index[0] == "pooled" else f"donor {block} ({named}{more})")
    rest = f" and {len(parts) - MOST} more donors" if len(parts) > MOST else ""
    return f"lacks {len(places)} score{'s' * (len(places) > 1)}: {', '.join(parts[:MOST])}{rest}"


def _failed(rows: pd.DataFrame, counts: pd.DataFrame) -> pd.Series:
    """How many arms failed that serve the split of each contest. The fold "all" serves the splits within slides."""
    failed = arms(rows).query("status == 'failed'")
    failed = failed.assign(within=failed["fold"] == "all")
    key = ["dataset", *ENTRANT, "within"]
    n_failed = failed.groupby(key).size().rename("n_failed")
    n = counts.assign(within=counts["split"] != "donor").join(n_failed, on=key)["n_failed"].fillna(0).astype(int)
    return n.map(lambda n: f"{n} arm{'s' * (n > 1)} failed" if n else "")
