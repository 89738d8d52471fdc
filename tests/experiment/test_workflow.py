"""The whole workflow, as a user runs it: what it writes, and what happens when it is repeated, cut off, or fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark.experiment.workflow import SNAKEFILE
from tests.helpers.command import command, environment, unitbench
from tests.helpers.plugins import install, install_example

CONFIG = {
    "name": "tiny",
    "dataset": {
        "name": "simulated",
        "options": {"n_donors": 2, "slides_per_donor": 1, "shape": [12, 12], "n_genes": 60, "image": False},
    },
    "methods": [{"method": "patch", "options": {"size": 4, "n_channels": 16}}, "library_size"],
    "budget": {"axis": "spots", "amounts": [0, 13000]},
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "methods_per_job": 4,
    "seeds": [0, 1],
    "neighbours": [0],
    "tasks": ["domain", {"task": "reconstruction", "options": {"sizes": [2], "n_genes": 20}}],
}
FAILS = """
class Fails:
    unit = "none"

    def fit(self, corpus, budget, seed):
        raise MemoryError("no room for the model")

    def embed(self, slide):
        raise AssertionError("never fitted")
"""
DIES = """
import os, signal
from library_size import LibrarySize

class Dies(LibrarySize):
    def fit(self, corpus, budget, seed):
        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where memory runs out
        super().fit(corpus, budget, seed)
"""
OF_THE_CLOCK = ["arm_seconds", "device_seconds", "peak_memory_bytes", "energy_joules"]
RUN = ("run", "--config", "tiny.yaml", "--cores", "2")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory) -> Path:
    """The example's wheel, a method that fails and one that ends its process, installed in a folder of their own."""
    target = tmp_path_factory.mktemp("site")
    install_example(target, tmp_path_factory.mktemp("build"))
    install(target, "failing", FAILS, "fails = failing:Fails")
    install(target, "dying", DIES, "dies = dying:Dies")
    return target


@pytest.fixture(scope="module")
def whole(tmp_path_factory, plugins) -> tuple[Path, subprocess.CompletedProcess]:
    """A run that nothing disturbs: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder, unitbench(*RUN, cwd=folder, plugins=plugins)


@pytest.fixture(scope="module")
def killed(tmp_path_factory, plugins) -> tuple[Path, subprocess.CompletedProcess]:
    """The same run with methods that fail beside it, killed after its first arm and resumed."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG | {"methods": [*CONFIG["methods"], "fails", "dies"]}))
    run = subprocess.Popen(
        command(*RUN), cwd=folder, env=environment(plugins), stdout=subprocess.DEVNULL, start_new_session=True
    )
    while run.poll() is None and not list(folder.glob("results/tiny/arms/patch/*/*/arm.json")):
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert not (folder / "results/tiny/manifest.json").exists()
    return folder, unitbench(*RUN, "--resume", cwd=folder, plugins=plugins)


def snakemake(folder: Path, plugins: Path, *words: str) -> str:
    words = (sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--cores", "1", *words)
    done = subprocess.run(
        [*words, "--config", "experiment=tiny.yaml"],
        cwd=folder,
        env=environment(plugins),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def scores(folder: Path) -> pd.DataFrame:
    """All rows that do not depend on the clock, of the methods that both runs have."""
    rows = pd.read_parquet(folder / "results/tiny/scores.parquet")
    return rows[~rows["metric"].isin(OF_THE_CLOCK) & ~rows["method"].isin(["fails", "dies"])].reset_index(drop=True)


def test_run_ends_with_a_leaderboard(whole):
    folder, run = whole
    assert run.returncode == 0, run.stdout + run.stderr
    # patch: 2 budgets × 2 seeds × 2 folds; the plugin learns nothing, so it has no budgets.
    assert "12 arms expected: 12 finished, 0 failed, 0 not applicable" in run.stdout
    left = {path.name for path in (folder / "results/tiny").iterdir()}
    assert left >= {"leaderboard.csv", "leakage.csv", "scores.csv", "scores.parquet", "report.html", "mlflow.db"}
    assert left >= {"manifest.json", "curves.parquet"}


def test_wheel_of_a_third_party_is_on_the_leaderboard(whole):
    folder, run = whole
    assert "library_size" in run.stdout
    board = pd.read_csv(folder / "results/tiny/leaderboard.csv")
    board = board[(board["method"] == "library_size") & (board["task"] == "domain")]
    assert len(board) and board["value"].between(0, 1).all()


def test_second_run_has_nothing_to_do(whole, plugins):
    assert "Nothing to be done" in snakemake(whole[0], plugins, "-n")


def test_snakemake_finds_no_fault(whole, plugins):
    assert "good condition" in snakemake(whole[0], plugins, "--lint")


def test_snakemake_makes_its_own_report_offline(whole, plugins):
    snakemake(whole[0], plugins, "--report", "workflow.html")
    assert "</html>" in (whole[0] / "workflow.html").read_text()


@pytest.mark.slow
def test_killed_and_resumed_run_has_the_same_scores(whole, killed):
    pd.testing.assert_frame_equal(scores(whole[0]), scores(killed[0]), check_exact=True)


@pytest.mark.slow
def test_killed_and_resumed_run_has_the_same_leaderboard(whole, killed):
    boards = [pd.read_csv(folder / "results/tiny/leaderboard.csv") for folder, _ in (whole, killed)]
    boards[1] = boards[1][~boards[1]["method"].isin(["fails", "dies"])].reset_index(drop=True)
    boards = [board.drop(columns="rank") for board in boards]  # there, `dies` takes a rank where it finished
    pd.testing.assert_frame_equal(*boards, check_exact=True, check_dtype=False)


@pytest.mark.slow
def test_settings_that_are_refused_stop_the_run_before_any_arm_and_a_change_of_them_alone_is_checked(tmp_path, plugins):
    def run(n_channels: int) -> subprocess.CompletedProcess:
        patch = {"method": "patch", "options": {"size": 4, "n_channels": n_channels}}
        few = {"methods": [patch], "budget": {"amounts": [0]}, "seeds": [0], "tasks": ["domain"]}
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG | few))
        return unitbench(*RUN, cwd=tmp_path, plugins=plugins)

    refused = run(61)
    assert refused.returncode == 2
    assert "method 'patch': patch unit: 61 channels of 60 genes; set fewer" in refused.stdout
    assert not (tmp_path / "results/tiny/arms").exists()
    corpus = tmp_path / "results/tiny/corpus/record.json"
    prepared = corpus.stat().st_mtime_ns
    assert run(16).returncode == 0
    board = (tmp_path / "results/tiny/leaderboard.csv").read_text()
    assert run(62).returncode == 2
    assert (tmp_path / "results/tiny/leaderboard.csv").read_text() == board
    assert corpus.stat().st_mtime_ns == prepared


@pytest.mark.slow
def test_a_change_of_a_config_runs_only_what_it_changes(tmp_path, plugins):
    def run(n_components: int) -> tuple[set[str], dict[str, int]]:
        pca = {"method": "pca", "options": {"n_components": n_components}}
        few = {"methods": ["random", pca], "methods_per_job": 1, "seeds": [0], "tasks": ["domain"]}
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG | few))
        done = unitbench(*RUN, cwd=tmp_path, plugins=plugins)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = pd.read_parquet(tmp_path / "results/tiny/scores.parquet")
        made = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("results/tiny/jobs/*.json")}
        return set(rows.loc[rows["method"] == "pca", "options"]), made

    options, before = run(9)
    assert options == {'{"method": "pca", "n_components": 9}'}
    options, after = run(5)
    assert options == {'{"method": "pca", "n_components": 5}'}
    assert {name for name in before if before[name] != after[name]} == {
        f"fold{fold}-1.{what}.json" for fold in (0, 1) for what in ("arms", "scores")
    }


def test_the_run_says_where_its_time_went(whole):
    (line,) = (line for line in whole[1].stdout.splitlines() if line.startswith("time: "))
    total, share = int(line.split()[1]), float(line.split()[3].rstrip("%"))
    times = [pd.read_csv(path, sep="\t")["s"].sum() for path in whole[0].glob("results/tiny/benchmarks/*.tsv")]
    assert len(times) == 5 + 2 * 2 and abs(sum(times) - total) <= 1
    assert 0 < share < 100


@pytest.mark.slow
def test_failing_method_is_a_row_and_an_exit_code(killed):
    folder, run = killed
    assert run.returncode == 1, run.stdout + run.stderr
    assert "20 arms expected: 14 finished, 6 failed, 0 not applicable" in run.stdout
    line = "fails, 4 arms: MemoryError at failing.py:6: no room for the model; traceback: "
    assert f"{line}results/tiny/arms/fails/fold0/0-seed0/error.txt" in run.stdout
    assert "no room for the model" in (folder / "results/tiny/arms/fails/fold0/0-seed0/error.txt").read_text()
    rows = pd.read_parquet(folder / "results/tiny/scores.parquet")
    rows = rows[rows["method"] == "fails"]
    assert set(rows["status"]) == {"failed"} and rows["value"].isna().all()
    assert rows["reason"].str.contains("MemoryError at failing.py:6: no room for the model").all()
    assert (folder / "results/tiny/report.html").exists() and (folder / "results/tiny/mlflow.db").exists()


@pytest.mark.slow
def test_an_arm_that_kills_its_process_is_a_row_and_stops_no_other(killed):
    folder, run = killed
    assert "dies, 2 arms: the arm: its process was ended by signal 9 (SIGKILL)" in run.stdout
    rows = pd.read_parquet(folder / "results/tiny/scores.parquet")
    status = rows[(rows["method"] == "dies") & (rows["metric"] == "status")].set_index("seed")["status"]
    assert set(status[0]) == {"ok"} and set(status[1]) == {"failed"}
