"""Score rows → MLflow: one run per method and budget, imported by one process, safe to repeat."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmark.core.files import fingerprint
from benchmark.stats.contests import leading
from benchmark.stats.leaderboard import headline
from benchmark.stats.names import budget_label, entrant_name
from benchmark.stats.rows import ENTRANT, arms, references

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported, below

DIGITS = 4  # the board cuts longer numbers
COSTS = {"flops": "TFLOP", "device_seconds": "seconds", "spots_seen": "spots"}
VIEW = "board"


class Counts(NamedTuple):
    added: int
    replaced: int
    unchanged: int
    removed: int


def track(rows: pd.DataFrame, board: pd.DataFrame, database: Path, experiment: str) -> Counts:
    """Make the experiment in `database` show `board`: new, changed and vanished runs are written, the rest is left.

    SQLite is created here, so only one process may call this. Artifacts would go beside the database.
    """
    from mlflow.tracking import MlflowClient

    database = Path(database).resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    found = client.get_experiment_by_name(experiment)
    experiment_id = (
        found.experiment_id
        if found
        else client.create_experiment(experiment, artifact_location=(database.parent / "artifacts").as_uri())
    )
    wanted = run_records(rows, board)
    client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{VIEW}", json.dumps(_view(wanted, board)))

    present = {run.data.tags["key"]: run for run in client.search_runs([experiment_id], max_results=10_000)}
    changed = [
        key
        for key, record in wanted.items()
        if key not in present or present[key].data.tags["sha256"] != fingerprint(record)
    ]
    for key in [key for key in present if key not in wanted or key in changed]:
        client.delete_run(present[key].info.run_id)
    for key in changed:
        _log(client, experiment_id, key, wanted[key])
    n_replaced = sum(key in present for key in changed)
    n_removed = sum(key not in wanted for key in present)
    return Counts(len(changed) - n_replaced, n_replaced, len(wanted) - len(changed), n_removed)


def run_records(rows: pd.DataFrame, board: pd.DataFrame) -> dict[str, dict]:
    """What each run holds, by its key: `{"name", "params", "metrics", "status"}`."""
    scores = headline(board).droplevel("name")
    costs = rows[(rows["task"] == "cost") & (rows["status"] == "ok")]
    costs = costs.pivot_table(index=ENTRANT, columns="metric", values="value").reindex(columns=list(COSTS))
    costs["flops"] /= 1e12
    values = scores.join(costs.rename(columns=COSTS), how="outer").round(DIGITS)
    # MLflow shows metrics in the order of their names, so numbers put the primary one first.
    order = {name: f"{number:02} {name}" for number, name in enumerate(values.columns, 1)}
    values = values.rename(columns=order)
    records, reference = {}, references(rows)
    for who, its_arms in arms(rows).groupby(ENTRANT):
        method, unit, axis, budget = who
        n_ok, n_arms = int((its_arms["status"] == "ok").sum()), len(its_arms)
        name = entrant_name(method, unit, budget, reference[method])
        records[f"{method}/{axis}/{budget:g}"] = {
            "name": f"{name}, {budget_label(axis, budget, unit)}" if unit != "none" and budget else name,
            "params": {
                "method": name,
                "unit": unit,
                "budget": budget_label(axis, budget, unit),
                "budget axis": axis,
                "budget amount": f"{budget:g}",
                "seeds": str(its_arms["seed"].nunique()),
                "arms": f"{n_ok} of {n_arms}",
            },
            "metrics": values.loc[who].dropna().to_dict() if who in values.index else {},
            "status": _status(its_arms["status"]),
        }
    return records


def _status(arms: pd.Series) -> str:
    """Of all arms of a run."""
    return arms.iloc[0] if arms.nunique() == 1 else "partly failed"


def _log(client, experiment_id: str, key: str, record: dict) -> None:
    from mlflow.entities import Metric, Param

    tags = {"key": key, "sha256": fingerprint(record), "status": record["status"]}
    run_id = client.create_run(experiment_id, run_name=record["name"], tags=tags).info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, timestamp=0, step=0) for name, value in record["metrics"].items()],
        params=[Param(name, value) for name, value in record["params"].items()],
    )
    client.set_terminated(run_id, "FAILED" if record["status"] == "failed" else "FINISHED")


def _view(records: dict[str, dict], board: pd.DataFrame) -> dict:
    """The state of the run table: sorted by the first metric, its columns shown."""
    metrics = sorted({name for record in records.values() for name in record["metrics"]})
    columns = [f"params.`{name}`" for name in ("method", "budget", "arms")]
    return {
        "orderByKey": f"metrics.`{metrics[0]}`" if metrics else "attributes.start_time",
        "orderByAsc": bool(metrics) and leading(board)[1].lower_is_better,
        "searchFilter": "",
        "selectedColumns": [*columns, *(f"metrics.`{name}`" for name in metrics), "tags.`status`"],
    }


def board_url(database: Path, experiment: str, port: int) -> str:
    """Where the sorted board of an experiment opens, once `serve` runs on `port`."""
    from mlflow.tracking import MlflowClient

    found = MlflowClient(tracking_uri=f"sqlite:///{Path(database).resolve()}").get_experiment_by_name(experiment)
    return (
        f"http://127.0.0.1:{port}/#/experiments/{found.experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={VIEW}"
    )


def serve(database: Path, experiment: str, port: int = 5000) -> None:
    """Become the MLflow server of `database`, on 127.0.0.1 and on `port`, or on any free port if that is taken."""
    database = Path(database).resolve()
    port = _free_port(port)
    print(
        f"Leaderboard: {board_url(database, experiment, port)}  (ready in up to a minute; Ctrl-C ends it)", flush=True
    )
    options = {"backend-store-uri": f"sqlite:///{database}", "host": "127.0.0.1", "port": port, "workers": 1}
    options["artifacts-destination"] = (database.parent / "artifacts").as_uri()
    arguments = [f"--{name}={value}" for name, value in options.items()]
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # a second process that a board has no use for
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
