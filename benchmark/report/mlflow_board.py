"""Score rows and curves → MLflow: one run per method and budget, written by one process, safe to repeat."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmark.core.curves import ARM
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, locked
from benchmark.stats.contests import leading
from benchmark.stats.leaderboard import headline
from benchmark.stats.learned import R2
from benchmark.stats.names import budget_label, entrant_name, self_reported
from benchmark.stats.rows import ENTRANT, Entrant, arms, references

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported, below

DIGITS = 4  # the board cuts longer numbers
COSTS = {"flops": "TFLOP", "device_seconds": "seconds", "spots_seen": "spots"}
VIEW = "board"
COURSES = {name: name for name in ("loss", "learning_rate", "flops_per_second")} | {R2: "held_out_r2"}
MOST_METRICS = 1000  # that MLflow takes at once


class Counts(NamedTuple):
    """How many runs of the experiment were written, and how many were left as they are."""

    added: int
    replaced: int
    unchanged: int
    removed: int


def track(rows: pd.DataFrame, board: pd.DataFrame, curves: pd.DataFrame, database: Path, experiment: str) -> Counts:
    """Make the experiment in `database` show `board`: new and changed runs are written, vanished ones are removed.

    Two processes that call this take turns. The artifacts' folder is beside the database.

    Args:
        rows: score rows.
        board: `leaderboard(rows)`.
        curves: the courses of the trainings, see `benchmark.core.curves`.

    Raises:
        UnitBenchError: the database is damaged.
    """
    database = Path(database).resolve()
    with locked(database):
        return _track(run_records(rows, board, curves), board, database, experiment)


def _track(wanted: dict[str, dict], board: pd.DataFrame, database: Path, experiment: str) -> Counts:
    from mlflow.tracking import MlflowClient

    with _readable(database):
        client = MlflowClient(tracking_uri=f"sqlite:///{database}")
        present = client.get_experiment_by_name(experiment)
    experiment_id = (
        present.experiment_id
        if present
        else client.create_experiment(experiment, artifact_location=(database.parent / "artifacts").as_uri())
    )
    client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{VIEW}", json.dumps(_view(wanted, board)))

    runs = {run.data.tags["key"]: run for run in client.search_runs([experiment_id], max_results=10_000)}
    changed = [
        key for key, record in wanted.items() if key not in runs or runs[key].data.tags["sha256"] != fingerprint(record)
    ]
    for key in [key for key in runs if key not in wanted or key in changed]:
        client.delete_run(runs[key].info.run_id)
    for key in changed:
        _log(client, experiment_id, key, wanted[key])
    n_replaced = sum(key in runs for key in changed)
    n_removed = sum(key not in wanted for key in runs)
    return Counts(len(changed) - n_replaced, n_replaced, len(wanted) - len(changed), n_removed)


@contextmanager
def _readable(database: Path) -> Iterator[None]:
    """Raises UnitBenchError for whatever MLflow raises inside: it has errors of its own and of SQLAlchemy."""
    try:
        yield
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")
        remedy = "delete it and run again: it holds nothing but a view of the tables"
        raise UnitBenchError(database, f"cannot be used ({type(error).__name__}: {said})", remedy) from error


def run_records(rows: pd.DataFrame, board: pd.DataFrame, curves: pd.DataFrame) -> dict[str, dict]:
    """Key → what its run holds: `{"name", "params", "metrics", "courses", "data", "status"}`.

    For `courses` see `_courses`; `data` has the hash of each dataset.

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
    values = scores.join(costs.rename(columns=COSTS), how="outer").round(DIGITS)
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
        }
    return records


def _courses(curves: pd.DataFrame) -> dict[tuple, dict[str, dict[int, float]]]:
    """Entrant → name → GFLOPs spent → mean over arms (and held-out slides) of a number on the way of the training."""
    kept = curves[curves["name"].isin(COURSES)]
    kept = kept.assign(name=kept["name"].map(COURSES), number=kept.groupby([*ARM, "slide", "name"]).cumcount())
    points = kept.groupby([*ENTRANT, "name", "number"])[["flops", "value"]].mean()
    step = (points["flops"] / 1e9).round().astype(int).rename("step")
    means = points.groupby([*(points.index.get_level_values(name) for name in (*ENTRANT, "name")), step])[
        "value"
    ].mean()
    courses: dict[tuple, dict[str, dict[int, float]]] = {}
    for (*entrant, name, at), value in means.items():
        courses.setdefault(tuple(entrant), {}).setdefault(name, {})[int(at)] = float(value)
    return courses


def _status(arms: pd.Series) -> str:
    """The status of a run, from those of its arms."""
    return arms.iloc[0] if arms.nunique() == 1 else "partly failed"


def _log(client, experiment_id: str, key: str, record: dict) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param

    tags = {"key": key, "sha256": fingerprint(record), "status": record["status"]}
    run_id = client.create_run(experiment_id, run_name=record["name"], tags=tags).info.run_id
    points = [(name, value, 0) for name, value in record["metrics"].items()]
    points += [(name, value, step) for name, course in record["courses"].items() for step, value in course.items()]
    for first in range(0, len(points), MOST_METRICS):
        batch = points[first : first + MOST_METRICS]
        client.log_batch(run_id, metrics=[Metric(name, value, timestamp=0, step=step) for name, value, step in batch])
    datasets = [Dataset(name, digest, "corpus", name) for name, digest in record["data"].items() if digest]
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags=[]) for dataset in datasets])
    client.log_batch(
        run_id,
        params=[Param(name, value) for name, value in record["params"].items()],
    )
    client.set_terminated(run_id, "FAILED" if record["status"] == "failed" else "FINISHED")


def _view(records: dict[str, dict], board: pd.DataFrame) -> dict:
    """The state of the run table: sorted by the first metric, its columns shown."""
    metrics = sorted({name for record in records.values() for name in record["metrics"]})
    known = {name for record in records.values() for name in record["params"]}
    columns = [f"params.`{name}`" for name in ("method", "budget", "arms", "incomplete") if name in known]
    return {
        "orderByKey": f"metrics.`{metrics[0]}`" if metrics else "attributes.start_time",
        "orderByAsc": bool(metrics) and leading(board)[1].lower_is_better,
        "searchFilter": "",
        "selectedColumns": [*columns, *(f"metrics.`{name}`" for name in metrics), "tags.`status`"],
    }


def board_url(database: Path, experiment: str, port: int) -> str:
    """The address of an experiment's sorted board, once `serve` runs on `port`.

    Raises:
        UnitBenchError: the database is damaged, or has no such experiment.
    """
    from mlflow.tracking import MlflowClient

    with _readable(database):
        client = MlflowClient(tracking_uri=f"sqlite:///{Path(database).resolve()}")
        present = client.get_experiment_by_name(experiment)
    if present is None:
        raise UnitBenchError(database, f"no experiment {experiment!r}", "run the workflow with this config first")
    return (
        f"http://127.0.0.1:{port}/#/experiments/{present.experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={VIEW}"
    )


def serve(database: Path, experiment: str, port: int = 5000) -> None:
    """Become the MLflow server of `database`, on 127.0.0.1 and `port`, or on a free port if that one is taken."""
    database = Path(database).resolve()
    port = _free_port(port)
    print(
        f"Leaderboard: {board_url(database, experiment, port)}  (ready in up to a minute; Ctrl-C ends it)", flush=True
    )
    options = {"backend-store-uri": f"sqlite:///{database}", "host": "127.0.0.1", "port": port, "workers": 1}
    options["artifacts-destination"] = (database.parent / "artifacts").as_uri()
    arguments = [f"--{name}={value}" for name, value in options.items()]
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # a board does not need this second process
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments])


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise AssertionError("port 0 is always free")
