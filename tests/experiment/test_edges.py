"""How a run ends: its exit code, and one line that says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from benchmark.experiment.workflow import SNAKEFILE
from tests.helpers.command import command, environment, unitbench
from tests.helpers.plugins import install

DATASETS = """
import os, signal, time
from benchmark.core.errors import UnitBenchError
from benchmark.datasets.simulated import Simulated

class Broken(Simulated):
    how: str = ""

    def slides(self):
        if self.how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where memory runs out
        if self.how == "refuses":
            raise UnitBenchError("slide A", "no counts", "give counts")
        time.sleep(600)
"""
CONFIG = {"name": "tiny", "methods": ["random"], "splits": {"donor_folds": 2, "random_repeats": 0}, "tasks": ["domain"]}
RUN = ("run", "--config", "tiny.yaml", "--cores", "1")


@pytest.fixture
def site(tmp_path) -> Path:
    """A folder with a dataset that cannot be read."""
    install(tmp_path / "site", "broken_data", DATASETS, "broken = broken_data:Broken", "unitbench.datasets")
    return tmp_path / "site"


def write(folder: Path, how: str) -> None:
    dataset = {"name": "broken", "options": {"how": how, "n_donors": 2}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG | {"dataset": dataset}))


@pytest.mark.parametrize(
    ("how", "code", "line"),
    [
        ("dies", 1, "prepare.log: the process was ended by SIGKILL; where that is SIGKILL, give it more memory"),
        ("refuses", 2, "prepare.log: unitbench: slide A: no counts; give counts"),
    ],
)
def test_a_step_that_ends_badly_is_named_with_its_reason(tmp_path, site, how, code, line):
    write(tmp_path, how)
    done = unitbench(*RUN, cwd=tmp_path, plugins=site)
    assert done.returncode == code and line in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("by", [signal.SIGHUP, signal.SIGTERM], ids=["SIGHUP", "SIGTERM"])
def test_a_run_that_is_told_to_end_leaves_nothing_behind(tmp_path, site, by):
    write(tmp_path, "waits")
    run = subprocess.Popen(
        command(*RUN),
        cwd=tmp_path,
        env=environment(site),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(by, signal.SIG_DFL),  # under nohup the tests ignore it, and so would the run
    )
    while run.poll() is None and not list(tmp_path.glob("results/tiny/logs/prepare.log")):
        time.sleep(0.05)
    family = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(by)
    said = run.communicate()[0]
    assert run.returncode == 130 and "interrupted; go on with: make resume CONFIG=tiny.yaml" in said
    assert len(family) >= 2 and not psutil.wait_procs(family, timeout=10)[1]


def test_under_nohup_a_run_stays():
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from benchmark.experiment import workflow; "
    code += "workflow._listen(); assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


def test_a_working_folder_that_is_closed_is_one_line(tmp_path, site):
    write(tmp_path, "refuses")
    (tmp_path / ".snakemake").write_text("a file, so no folder can be made")
    done = unitbench(*RUN, cwd=tmp_path, plugins=site)
    line = "Snakemake cannot write its files there (File exists); start the run in a folder that you can write to"
    assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1


def test_snakemake_plans_a_run_from_another_folder(tmp_path, site):
    write(tmp_path, "waits")
    (tmp_path / "elsewhere").mkdir()
    words = [sys.executable, "-m", "snakemake", "-n", "--snakefile", str(SNAKEFILE), "--config"]
    words += [f"experiment={tmp_path}/tiny.yaml", f"results={tmp_path}/my results"]
    done = subprocess.run(words, cwd=tmp_path / "elsewhere", env=environment(site), capture_output=True, text=True)
    assert done.returncode == 0 and "rule prepare" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "my results/tiny/config.yaml").exists()
    assert os.listdir(tmp_path / "elsewhere") == [".snakemake"]
