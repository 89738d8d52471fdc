"""The first screen of the site: which unit leads at which budget, and whether it beats what is in use today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.answers import amount, signed
from benchmark.report.site_names import dataset_page
from benchmark.report.words import contest_name, contest_title
from benchmark.stats.champions import UNITS
from benchmark.stats.contests import Contest
from benchmark.stats.overall import BETTER, PLACE, Overall

AXIS = ["budget_axis", "budget"]


def answer(found: Overall, tissue: Mapping[str, str], contest: Contest) -> str:
    """The whole answer in one sentence, of each dataset at the largest budget that two of its units share."""
    if found.units.empty:
        return "These runs cannot tell: no two units share a budget on a dataset with a method of today."
    won = found.won.loc[found.won.groupby("dataset")["budget"].idxmax()]
    leads = won["first"].value_counts()
    of_unit = [f"{unit} leads on {leads[unit]}" for unit in sorted(leads.index, key=lambda unit: (-leads[unit], unit))]
    n_clear = int(won["verdict"].str.endswith(" wins").sum())
    leader = won.merge(found.units, left_on=[*PLACE, "first"], right_on=[*PLACE, "unit"], suffixes=("_won", ""))
    n_ahead = int((leader["difference"] > 0).sum())
    n_beats = int((leader["verdict"] == BETTER).sum())
    n_tissues = won["dataset"].map(dict(tissue)).nunique()
    text = (
        f"By {contest_name(contest)}, at the largest budget of each of {counted(len(won), 'table')} on "
        f"{counted(n_tissues, 'dataset')}: {', '.join(of_unit)} ({n_clear or 'none'} of them clearly); the leader "
        f"is ahead of the best method of today on {n_ahead} of {len(leader)} ({n_beats or 'none'} clearly)"
    )
    return text + _pooled(found.pooled) + "."


def _pooled(pooled: pd.DataFrame) -> str:
    """The budget that most datasets share, and the unit that comes off best there."""
    if pooled.empty:
        return ""
    row = pooled.sort_values(["n_datasets", "difference"], ascending=False).iloc[0]
    at = amount(row["budget_axis"], row["budget"])
    lead = "leads it the most" if row["difference"] > 0 else "comes nearest to it"
    return f"; over the {row['n_datasets']} tables that share {at} an arm {row['unit']} {lead}, by {signed(row)}"


def counted(n: int, word: str) -> str:
    """As in "2 datasets"."""
    return f"{n} {word}{'s' * (n != 1)}"


def picture(found: Overall, tissue: Mapping[str, str], contest: Contest) -> dict[str, Any]:
    """What the template draws: a panel for each budget, in it a lane for each dataset, in it a mark for each unit.

    Places are per cent of the width, of the difference to the best method of today.
    """
    ends = [table[["difference", "low", "high"]].to_numpy(dtype=float).ravel() for table in (found.units, found.pooled)]
    low, high, ticks = _scale(np.nan_to_num(np.concatenate(ends)))

    def at(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    panels = []
    for (axis, budget), part in found.units.groupby(AXIS):
        pooled = found.pooled[(found.pooled[AXIS] == [axis, budget]).all(axis=1)]
        lanes = [
            {"name": name, "link": dataset_page(tissue[str(name)]), "marks": [_mark(row, at) for row in _rows(lane)]}
            for name, lane in part.groupby("dataset")
        ]
        if len(pooled):
            name = f"all {pooled['n_datasets'].iloc[0]} together"
            marks = [_mark({**row, "taught": True, "method": "", "rival": "the same"}, at) for row in _rows(pooled)]
            lanes.append({"name": name, "link": "", "marks": marks})
        panels.append({"title": f"{amount(str(axis), float(budget))} an arm", "lanes": lanes})
    ticks = [(at(tick), f"{tick:+.1f}".replace("-", "−") if tick else "0") for tick in ticks]
    return {
        "panels": panels,
        "zero": at(0),
        "ticks": ticks,
        "title": contest_title(contest),
    }


def _rows(part: pd.DataFrame) -> list[dict[str, Any]]:
    return sorted(part.to_dict("records"), key=lambda row: UNITS.index(row["unit"]))


def _scale(values: np.ndarray) -> tuple[float, float, list[float]]:
    """Low and high end of the axis, and its ticks, of which one is 0."""
    low, high = min(values.min(initial=0), -0.05), max(values.max(initial=0), 0.05)
    step = 0.1 if high - low < 0.45 else 0.2 if high - low < 0.9 else 0.5
    margin = 0.03 * (high - low)
    ticks = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return low - margin, high + margin, [float(tick) for tick in ticks.round(6)]


def _mark(row: Mapping[str, Any], at: Any) -> dict[str, Any]:
    """A dot with its interval, and the same in words."""
    low, high = (row["difference"] if np.isnan(row[end]) else row[end] for end in ("low", "high"))
    who = f"{row['unit']} ({row['method']})" if row["method"] else str(row["unit"])
    idle = "" if row["taught"] else "; it did not learn its objective"
    return {
        "unit": row["unit"],
        "taught": row["taught"],
        "dot": at(row["difference"]),
        "left": at(low),
        "width": round(at(high) - at(low), 2),
        "words": f"{who}: {signed(row)} against {row['rival']}{idle}",
    }
