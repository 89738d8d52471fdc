"""What happens beside a run that works: its config is edited, another import begins, its notes are locked."""

import multiprocessing
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from benchmark.core.curves import NO_CURVES
from benchmark.core.errors import UnitBenchError
from benchmark.experiment.workflow import _unlock
from benchmark.report.mlflow_board import track
from benchmark.stats.leaderboard import leaderboard
from tests.faults.campaign import CONFIG, RUN
from tests.helpers.command import command, environment
from tests.helpers.rows import entrants, example_rows


@pytest.mark.slow
def test_a_config_edited_while_a_run_works_changes_the_next_run_alone(tmp_path):
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(CONFIG | {"methods": ["random"]}))
    run = subprocess.Popen(command(*RUN), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
    frozen = tmp_path / "results/tiny/config.yaml"
    until = time.monotonic() + 120
    while not (frozen.exists() and list(tmp_path.glob("results/tiny/logs/*"))) and time.monotonic() < until:
        time.sleep(0.05)
    config.write_text(yaml.safe_dump(CONFIG | {"methods": ["coordinates"], "seeds": [5]}))
    said, _ = run.communicate()
    rows = pd.read_parquet(tmp_path / "results/tiny/scores.parquet")
    assert run.returncode == 0, said
    assert set(rows["method"]) == {"random"} and set(rows["seed"]) == {0}


def test_two_imports_at_once_into_a_new_database_make_one_board(tmp_path):
    rows = example_rows()
    board, database = leaderboard(rows), tmp_path / "mlflow.db"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=track, args=(rows, board, NO_CURVES, database, "example")) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert track(rows, board, NO_CURVES, database, "example") == (0, 0, len(entrants()), 0)


def test_a_lock_that_cannot_be_removed_is_one_line():
    with pytest.raises(UnitBenchError, match=r"locks: Snakemake cannot unlock the run \(no permission\); delete"):
        _unlock([sys.executable, "-c", "import sys; sys.exit('working\\nno permission')"])
