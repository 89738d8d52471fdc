"""Score rows and curves → what each MLflow run holds: parameters, metrics, courses of the training, tags."""

from __future__ import annotations

import pandas as pd

from benchmark.core.curves import ARM
from benchmark.stats.leaderboard import headline
from benchmark.stats.learned import R2
from benchmark.stats.names import budget_label, entrant_name, self_reported
from benchmark.stats.rows import ENTRANT, Entrant, arms, references

DIGITS = 4  # the board cuts longer numbers
COSTS = {"flops": "TFLOP", "device_seconds": "seconds", "spots_seen": "spots"}
ROUNDED = {"seconds": 1, "spots": 0}
# A number on the way of a training: the name and the scale that it has in MLflow, whose plots write numbers out.
COURSES = {
    "loss": ("loss", 1.0),
    R2: ("held_out_r2", 1.0),
    "learning_rate": ("learning_rate", 1.0),
    "flops_per_second": ("gflops_per_second", 1e-9),
}


def run_records(rows: pd.DataFrame, board: pd.DataFrame, curves: pd.DataFrame) -> dict[str, dict]:
    """Key → what its run holds: `{"name", "params", "metrics", "courses", "data", "status", "seconds"}`.

    For `courses` see `_courses`; `data` has the hash of each dataset; `seconds` is the mean time of a training.

    The score of an entrant that lacks scores which others have is no metric, since the board is sorted by metrics: it
    stands in the parameter "incomplete".
    """
    scores, lacking = headline(board).droplevel("name"), headline(board, "status").droplevel("name") == "incomplete"
    partial = {
        entrant: "; ".join(f"{name} {value:.{DIGITS}g}" for name, value in row.dropna().items())
        for entrant, row in scores.where(lacking).iterrows()
    }
    scores = scores.mask(lacking)
    costs = rows[(rows["task"] == "cost") & (rows["status"] == "ok")]
    costs = costs.pivot_table(index=ENTRANT, columns="metric", values="value").reindex(columns=list(COSTS))
    costs["flops"] /= 1e12
    values = scores.join(costs.rename(columns=COSTS), how="outer").round(DIGITS).round(ROUNDED)
    # MLflow shows metrics in the order of their names, so numbers put the primary one first.
    order = {name: f"{number:02} {name}" for number, name in enumerate(values.columns, 1)}
    metrics = {entrant: row.dropna().to_dict() for entrant, row in values.rename(columns=order).iterrows()}
    records, reference, by_itself = {}, references(rows), self_reported(rows)
    courses = _courses(curves)
    for key, entrant_arms in arms(rows).groupby(ENTRANT):
        method, unit, axis, budget = Entrant._make(key)
        n_ok, n_arms = int((entrant_arms["status"] == "ok").sum()), len(entrant_arms)
        name = entrant_name(Entrant._make(key), reference[method], key in by_itself)
        records[f"{method}/{axis}/{budget:g}"] = {
            "name": f"{name}, {budget_label(axis, budget, unit)}" if unit != "none" and budget else name,
            "params": {
                "method": name,
                "unit": unit,
                "budget": budget_label(axis, budget, unit),
                "budget axis": axis,
                "budget amount": f"{budget:g}",
                "seeds": str(entrant_arms["seed"].nunique()),
                "arms": f"{n_ok} of {n_arms}",
                **({"incomplete": partial[key]} if partial.get(key) else {}),
            },
            "metrics": metrics.get(key, {}),
            "courses": courses.get(key, {}),
            "data": dict(entrant_arms[["dataset", "data"]].drop_duplicates().itertuples(index=False, name=None)),
            "status": _status(entrant_arms["status"]),
            "seconds": float(values["seconds"].fillna(0).get(key, 0)),
        }
    return records


def _courses(curves: pd.DataFrame) -> dict[tuple, dict[str, dict[int, float]]]:
    """Entrant → name → GFLOPs spent → mean over arms (and held-out slides) of a number on the way of the training."""
    kept = curves[curves["name"].isin(COURSES)]
    scaled = kept["value"] * kept["name"].map({name: scale for name, (_, scale) in COURSES.items()})
    named = kept["name"].map({name: shown for name, (shown, _) in COURSES.items()})
    kept = kept.assign(name=named, value=scaled, number=kept.groupby([*ARM, "slide", "name"]).cumcount())
    points = kept.groupby([*ENTRANT, "name", "number"])[["flops", "value"]].mean()
    step = (points["flops"] / 1e9).round().astype(int).rename("step")
    means = points.groupby([*(points.index.get_level_values(name) for name in (*ENTRANT, "name")), step])[
        "value"
    ].mean()
    courses: dict[tuple, dict[str, dict[int, float]]] = {}
    for (*entrant, name, at), value in means.items():
        courses.setdefault(tuple(entrant), {}).setdefault(name, {})[int(at)] = float(f"{value:.6g}")
    return courses


def _status(arms: pd.Series) -> str:
    """The status of a run, from those of its arms."""
    return arms.iloc[0] if arms.nunique() == 1 else "partly failed"
