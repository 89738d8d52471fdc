"""MLflow: one run an entrant, nothing written twice, what changed replaced, a board that opens sorted."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from urllib.request import urlopen

import pytest

from benchmark.core.curves import ARM, curve_table
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import plugins
from benchmark.report import mlflow_board as tracking
from benchmark.report.mlflow_records import COSTS
from benchmark.stats.contests import PRIMARY, key_contests, select
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.rows import ENTRANT
from tests.helpers.rows import entrants, example_rows

DATA = "0123456789ab"
SPOT = dict(zip(ARM, ("example", "A", "spot", "{}", "spot", "flops", 1e12, 0), strict=True))
COURSE = [(0, "", 4e11, "loss", 2.0), (1, "", 4.002e11, "loss", 3.0), (0, "", 1e12, "loss", 1.0)]
COURSE += [(0, "A1", 4e11, "r2", 0.1), (0, "A2", 4e11, "r2", 0.3), (0, "", 1e12, "learning_rate", 1e-4)]
CURVES = curve_table(
    SPOT | {"seed": seed, "slide": slide, "flops": flops, "name": name, "value": value}
    for seed, slide, flops, name, value in COURSE
)


@pytest.fixture(scope="module")
def rows():
    return example_rows().assign(data=DATA)


@pytest.fixture(scope="module")
def few(rows):
    """The rows of two methods, and how many entrants they are: MLflow takes its time for each."""
    kept = rows[rows["method"].isin(["spot", "pca"])]
    return kept, len(kept[ENTRANT].drop_duplicates())


@pytest.fixture(scope="module")
def tracked(rows, tmp_path_factory):
    """The database after one import, and the counts."""
    folder = tmp_path_factory.mktemp("results")
    here = os.getcwd()
    os.chdir(folder)  # whatever MLflow puts in the working folder is seen by a test below
    counts = tracking.track(rows, leaderboard(rows), CURVES, folder / "run" / "mlflow.db", "example")
    os.chdir(here)
    return folder / "run" / "mlflow.db", counts


def active_runs(database):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("example")
    order = ["metrics.`01 macro-F1` DESC"]
    return experiment, list(client.search_runs([experiment.experiment_id], order_by=order))


def seconds(run) -> str:
    """The name of the metric that tells how long a training took."""
    return next(name for name in run.data.metrics if name.endswith(" seconds"))


def test_one_run_an_entrant_with_the_scores_of_the_leaderboard(rows, tracked):
    database, counts = tracked
    _, runs = active_runs(database)
    assert counts == (len(entrants()), 0, 0, 0) and len(runs) == len(entrants())
    primary = select(leaderboard(rows), PRIMARY)
    assert [run.data.params["method"] for run in runs] == primary["name"].tolist()
    scores = [run.data.metrics.get("01 macro-F1") for run in runs]
    assert scores[:-1] == pytest.approx(primary["value"].tolist()[:-1], abs=5e-5)
    hit = next(run for run in runs if run.info.run_name == "slide, 4 TFLOP")
    assert (hit.data.tags["status"], hit.data.params["arms"]) == ("partly failed", "20 of 21")
    assert hit is runs[-1] and scores[-1] is None, "what lacks scores is not ranked among the others"
    assert f"macro-F1 {primary['value'].iloc[-1]:.4g}" in hit.data.params["incomplete"]


def test_importing_again_writes_only_what_changed(rows, tracked):
    database, _ = tracked
    n = len(entrants())
    _, before = active_runs(database)
    assert tracking.track(rows, leaderboard(rows), CURVES, database, "example") == (0, 0, n, 0)
    assert [run.info.run_id for run in active_runs(database)[1]] == [run.info.run_id for run in before]

    noiseless = rows[rows["method"] != "noise"].copy()
    patch = (noiseless["method"] == "patch") & (noiseless["budget"] == 1e12) & (noiseless["task"] == "domain")
    noiseless.loc[patch, "value"] /= 2
    assert tracking.track(noiseless, leaderboard(noiseless), CURVES, database, "example") == (0, 1, n - 2, 1)
    assert tracking.track(rows, leaderboard(rows), CURVES, database, "example") == (1, 1, n - 2, 0)
    assert len(active_runs(database)[1]) == n


def test_a_run_holds_the_course_of_its_training_by_gflops(tracked):
    """Means over the arms of the entrant, and over held-out slides: two seeds at 400 GFLOPs, one at 1000."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tracked[0]}")
    spot = next(run for run in active_runs(tracked[0])[1] if run.info.run_name == "spot, 1 TFLOP")
    courses = {
        name: [(point.step, point.value) for point in client.get_metric_history(spot.info.run_id, name)]
        for name in ("loss", "learning_rate", "held_out_r2")
    }
    assert courses == {"loss": [(400, 2.5), (1000, 1.0)], "learning_rate": [(1000, 1e-4)], "held_out_r2": [(400, 0.2)]}
    assert spot.info.end_time - spot.info.start_time == round(1000 * spot.data.metrics[seconds(spot)])
    other = next(run for run in active_runs(tracked[0])[1] if run.info.run_name == "spot, 4 TFLOP")
    assert "loss" not in other.data.metrics


def test_a_run_names_its_data_by_their_hash(tracked):
    for run in active_runs(tracked[0])[1]:
        datasets = [given.dataset for given in run.inputs.dataset_inputs]
        assert [(dataset.name, dataset.digest) for dataset in datasets] == [("example", DATA)]


def test_the_board_opens_sorted_with_columns_that_exist(tracked):
    database, _ = tracked
    experiment, runs = active_runs(database)
    view = json.loads(experiment.tags["mlflow.sharedViewState.board"])
    assert view["orderByKey"] == "metrics.`01 macro-F1`" and view["orderByAsc"] is False
    known = {kind: {name for run in runs for name in getattr(run.data, kind)} for kind in ("metrics", "params", "tags")}
    for column in view["selectedColumns"]:
        kind, name = column.split(".", 1)
        assert name.strip("`") in known[kind]
    # MLflow sorts columns by name: scores in the order of the printed board, then what they cost.
    names = [*key_contests(plugins("tasks")), *COSTS.values()]
    shown = [name.split(" ", 1)[1] for name in sorted(runs[0].data.metrics)]
    assert shown == [name for name in names if name in shown] and len(names) > 9
    url = tracking.board_url(database, "example", 5000)
    assert url.startswith("http://127.0.0.1:5000/#/experiments/") and url.endswith("viewStateShareKey=board")


def test_a_run_keeps_its_report_and_tells_how_it_was_made(few, tmp_path):
    rows, n = few
    report = tmp_path / "report.html"
    report.write_text("a page")
    about = tracking.About("What the board shows.", {"commit": "abc"}, [report])
    database = tmp_path / "mlflow.db"
    calls = [tracking.track(rows, leaderboard(rows), CURVES, database, "example", about) for _ in range(2)]
    assert calls[0].added == n + 1 and calls[1] == (0, 0, calls[0].added, 0)
    experiment, runs = active_runs(database)
    note = experiment.tags["mlflow.note.content"]
    assert note.endswith(". What the board shows.")
    assert f"/{re.search(r'[(](#.*?)[)]', note)[1]}" in tracking.board_url(database, "example", 5000)
    assert {run.data.tags["commit"] for run in runs} == {"abc"}
    kept = next(run for run in runs if run.info.run_name == "report and config")
    assert [path.read_text() for path in (tmp_path / "artifacts").rglob("report.html")] == ["a page"]
    report.write_text("another page")
    assert tracking.track(rows, leaderboard(rows), CURVES, database, "example", about).replaced == 1
    assert kept.info.run_id not in {run.info.run_id for run in active_runs(database)[1]}


@pytest.mark.slow
def test_a_server_is_written_to_as_a_database_is(few, tmp_path, monkeypatch, capfd):
    """The server of MLflow itself, on the loopback, with a database of its own. Nothing is printed of its runs."""
    rows, n = few
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store, address = tmp_path / "server", f"http://127.0.0.1:{port}"
    store.mkdir()
    words = ["server", f"--backend-store-uri=sqlite:///{store}/mlflow.db", "--host=127.0.0.1", f"--port={port}"]
    words += ["--workers=1", f"--artifacts-destination={store.as_uri()}/artifacts"]
    report = tmp_path / "report.html"
    report.write_text("a page")
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"{address}/health")
        capfd.readouterr()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        about = tracking.About(files=[report])
        calls = [
            tracking.track(rows, leaderboard(rows), CURVES, tmp_path / "here.db", "example", about) for _ in range(2)
        ]
    finally:
        server.terminate()
        server.wait()
    assert calls[0].added == n + 1 > 4 and calls[1].unchanged == calls[0].added
    assert "http" not in capfd.readouterr().out
    assert not (tmp_path / "here.db").exists()
    assert [path.read_text() for path in (store / "artifacts").rglob("report.html")] == ["a page"]
    assert len(active_runs(store / "mlflow.db")[1]) == n + 1


def test_a_server_that_does_not_answer_is_one_line_without_its_password(rows, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UnitBenchError, match=r"127\.0\.0\.1: cannot be used") as refused:
        tracking.track(rows, leaderboard(rows), CURVES, tmp_path / "here.db", "example")
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def wait_for(address):
    """Until a server answers, at most a minute."""
    for _ in range(600):
        with suppress(OSError), urlopen(address, timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError(f"no answer from {address}")


def test_nothing_is_written_outside_the_folder_of_the_database(tracked):
    database, _ = tracked
    assert [path.name for path in database.parent.parent.iterdir()] == ["run"]
    assert active_runs(database)[0].artifact_location.startswith(database.parent.as_uri())
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_server_is_local_and_takes_a_free_port(tracked, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: called.append(arguments))
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        tracking.serve(tracked[0], "example", taken)
    port = next(word for word in called[0] if word.startswith("--port=")).removeprefix("--port=")
    assert "--host=127.0.0.1" in called[0] and int(port) != taken
    assert f"http://127.0.0.1:{port}/#/experiments/" in capsys.readouterr().out
