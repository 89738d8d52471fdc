"""What the arms cost, and what has no score and why."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.core.reasons import Reason, read_reason
from benchmark.report import words
from benchmark.report.tables import entrant
from benchmark.stats.names import named, si
from benchmark.stats.rows import ENTRANT

COSTS = {
    "flops": ("FLOPs", si),
    "flops_target": ("of", si),
    "device_seconds": ("device seconds", lambda value: f"{value:.1f}"),
    "device_seconds_target": ("of", lambda value: f"{value:.1f}"),
    "spots_seen": ("spots seen", si),
    "spots_target": ("of", si),
    "unique_spots": ("distinct spots", si),
    "epochs": ("epochs", lambda value: f"{value:.1f}"),
    "steps": ("steps", si),
    "arm_seconds": ("seconds in all", lambda value: f"{value:.1f}"),
    "parameters": ("parameters", si),
    "peak_memory_bytes": ("peak memory", lambda value: f"{si(value)}B"),
    "energy_joules": ("energy", lambda value: f"{si(value)}J"),
}


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean cost of an arm: one row per entrant, one column per cost."""
    spent = rows[(rows["task"] == "cost") & (rows["status"] == "ok")]
    return spent.pivot_table(index=ENTRANT, columns="metric", values="value")


def cost_table(costs: pd.DataFrame, rows: pd.DataFrame) -> dict:
    """The costs as (value, text). A note says why a cost was not measured.

    Args:
        costs: `costs(rows)`.
        rows: score rows.
    """
    lacking = rows[(rows["task"] == "cost") & (rows["status"] != "ok")]
    reasons = lacking.groupby("metric")["reason"].first()
    shown = [key for key in COSTS if key in costs or key in reasons]
    return {
        "columns": [COSTS[key][0] for key in shown],
        "notes": [f"{COSTS[key][0]}: {reasons[key]}" for key in shown if key in reasons],
        "rows": [
            entrant(row)
            | {
                "costs": [
                    (None, "–") if np.isnan(row.get(key, np.nan)) else (row[key], COSTS[key][1](row[key]))
                    for key in shown
                ]
            }
            for _, row in named(costs.reset_index(), rows).iterrows()
        ],
    }


def absent(rows: pd.DataFrame) -> list[dict]:
    """What has no score and why: one line per task and cause, with the path of one traceback.

    The tasks of a failed arm have no lines of their own.
    """
    arm = [*ENTRANT, "fold", "seed"]
    failed = rows.loc[(rows["task"] == "arm") & (rows["status"] == "failed"), arm]
    lacking = rows[(rows["status"] != "ok") & (rows["task"] != "cost")]
    follows = pd.MultiIndex.from_frame(lacking[arm]).isin(pd.MultiIndex.from_frame(failed))
    lacking = lacking[~follows | (lacking["task"] == "arm")]
    names = [words.full_name(row) for _, row in named(lacking, rows).iterrows()]
    lacking = lacking.assign(name=names, where=lacking["fold"] + ", seed " + lacking["seed"].astype(str))
    reasons = [read_reason(reason) for reason in lacking["reason"]]
    lacking = lacking.assign(cause=[r.cause for r in reasons], traceback=[r.traceback for r in reasons])
    lines = []
    for (status, task, cause), group in lacking.groupby(["status", "task", "cause"]):
        where = sorted(set(group["where"]))
        lines.append(
            {
                "status": status,
                "task": task if task == "arm" else declared(task).title,
                "reason": str(Reason(cause, min(group["traceback"]))),
                "methods": ", ".join(sorted(set(group["name"]))),
                "where": "; ".join(where) if len(where) <= 6 else f"{len(group)} rows",
            }
        )
    return lines
