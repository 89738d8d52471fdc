"""The leaderboard in MLflow: one run per method and budget, written by one process, safe to repeat; and its server."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import fingerprint, locked, sha256
from benchmark.report.mlflow_records import run_records
from benchmark.stats.contests import leading

if TYPE_CHECKING:
    from mlflow.entities import RunInfo

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported, below

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # of a server that does not answer
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, on a server
VIEW = "board"
MOST_METRICS = 1000  # that MLflow takes at once


class Counts(NamedTuple):
    """How many runs of the experiment were written, and how many were left as they are."""

    added: int
    replaced: int
    unchanged: int
    removed: int


class About(NamedTuple):
    """What there is to tell of a run beside its scores.

    Attributes:
        note: in Markdown; the experiment's page shows it.
        tags: of each MLflow run, such as the commit.
        files: the report and what else to keep as artifacts, in an MLflow run of their own.
    """

    note: str = ""
    tags: Mapping[str, str] = MappingProxyType({})
    files: Sequence[Path] = ()


def track(
    rows: pd.DataFrame,
    board: pd.DataFrame,
    curves: pd.DataFrame,
    database: Path,
    experiment: str,
    about: About | None = None,
) -> Counts:
    """Make the experiment show `board`: new and changed runs are written, vanished ones are removed.

    It lies in `database`, with its artifacts beside it, or on the server that MLFLOW_TRACKING_URI names. Two processes
    that call this take turns.

    Args:
        rows: score rows.
        board: `leaderboard(rows)`.
        curves: the courses of the trainings, see `benchmark.core.curves`.

    Raises:
        UnitBenchError: the database is damaged, or the server does not answer.
    """
    wanted = run_records(rows, board, curves)
    return write(wanted, leading(board)[1].lower_is_better, database, experiment, about or About())


def write(wanted: Mapping[str, dict], ascending: bool, database: Path, experiment: str, about: About) -> Counts:
    """Make the experiment hold these records and no other, as `track` says.

    Args:
        wanted: key → what its MLflow run holds; see `mlflow_records`.
        ascending: whether the best has the smallest first metric.
    """
    database = Path(database).resolve()
    records = {key: record | {"tags": dict(about.tags)} for key, record in wanted.items()}
    view = json.dumps(_view(records, ascending))
    if about.files:
        files = {path.name: sha256(path) for path in about.files}
        records["files"] = {"name": "report and config", "tags": dict(about.tags), "files": files}
    with locked(database):
        store = os.environ.get("MLFLOW_TRACKING_URI", "")
        if store:
            with _answers(store):
                return _write(records, view, store, experiment, None, about)
        with _readable(database):
            artifacts = (database.parent / "artifacts").as_uri()
            return _write(records, view, f"sqlite:///{database}", experiment, artifacts, about)


def _write(
    wanted: dict[str, dict], view: str, store: str, experiment: str, artifacts: str | None, about: About
) -> Counts:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store)
    present = client.get_experiment_by_name(experiment)
    experiment_id = present.experiment_id if present else client.create_experiment(experiment, artifacts)
    client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{VIEW}", view)
    # MLflow's own links lead to its pages for language models, which are empty here.
    note = f"[Open the sorted table]({_board(experiment_id)}). {about.note}"
    client.set_experiment_tag(experiment_id, "mlflow.note.content", note)

    runs = {run.data.tags["key"]: run for run in client.search_runs([experiment_id], max_results=10_000)}
    changed = [
        key for key, record in wanted.items() if key not in runs or runs[key].data.tags["sha256"] != fingerprint(record)
    ]
    for key in [key for key in runs if key not in wanted or key in changed]:
        client.delete_run(runs[key].info.run_id)
    # The chart view shows the newest ten: those that have curves.
    for key in sorted(changed, key=lambda key: (key != "files", bool(wanted[key].get("courses")))):
        run = _create(client, experiment_id, key, wanted[key])
        run_id = run.run_id
        if key == "files":
            for path in about.files:
                client.log_artifact(run_id, str(path))
        else:
            _log(client, run_id, wanted[key])
        end = run.start_time + round(
            1000 * wanted[key].get("seconds", 0)
        )  # so that MLflow tells the training's duration
        client.set_terminated(run_id, "FAILED" if wanted[key].get("status") == "failed" else "FINISHED", end)
    n_replaced = sum(key in runs for key in changed)
    n_removed = sum(key not in wanted for key in runs)
    return Counts(len(changed) - n_replaced, n_replaced, len(wanted) - len(changed), n_removed)


@contextmanager
def _answers(store: str) -> Iterator[None]:
    """Raises UnitBenchError for whatever MLflow raises inside. The name of a user and a password are not shown."""
    try:
        yield
    except Exception as error:
        said = next(iter(str(error).splitlines()), "").replace(store, "it")
        where = f"MLFLOW_TRACKING_URI {urlsplit(store).hostname or store}"
        cause = f"cannot be used ({type(error).__name__}: {said[:200]})"
        raise UnitBenchError(where, cause, "start the server, or unset the variable") from error


@contextmanager
def _readable(database: Path) -> Iterator[None]:
    """Raises UnitBenchError for whatever MLflow raises inside: it has errors of its own and of SQLAlchemy."""
    try:
        yield
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")
        remedy = "delete it and run again: it holds nothing but a view of the tables"
        raise UnitBenchError(database, f"cannot be used ({type(error).__name__}: {said})", remedy) from error


def _create(client, experiment_id: str, key: str, record: dict) -> RunInfo:
    tags = {"key": key, "sha256": fingerprint(record), **record["tags"]}
    tags |= {"status": record["status"]} if "status" in record else {}
    return client.create_run(experiment_id, run_name=record["name"], tags=tags).info


def _log(client, run_id: str, record: dict) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param

    points = [(name, value, 0) for name, value in record["metrics"].items()]
    points += [(name, value, step) for name, course in record["courses"].items() for step, value in course.items()]
    for first in range(0, len(points), MOST_METRICS):
        batch = points[first : first + MOST_METRICS]
        client.log_batch(run_id, metrics=[Metric(name, value, timestamp=0, step=step) for name, value, step in batch])
    datasets = [Dataset(name, digest, "corpus", name) for name, digest in record["data"].items() if digest]
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags=[]) for dataset in datasets])
    client.log_batch(run_id, params=[Param(name, value) for name, value in record["params"].items()])


def _view(records: dict[str, dict], ascending: bool) -> dict:
    """The state of the run table: sorted by the first metric, its columns shown."""
    metrics = sorted({name for record in records.values() for name in record["metrics"]})
    known = {name for record in records.values() for name in record["params"]}
    columns = [f"params.`{name}`" for name in ("method", "budget", "arms", "incomplete") if name in known]
    return {
        "orderByKey": f"metrics.`{metrics[0]}`" if metrics else "attributes.start_time",
        "orderByAsc": bool(metrics) and ascending,
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
    return f"http://127.0.0.1:{port}/{_board(present.experiment_id)}"


def _board(experiment_id: str) -> str:
    """The address of the sorted board, from the top of the server."""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


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
