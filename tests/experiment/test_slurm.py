"""What `doctor` says of Slurm, by stand-ins for its programs, and that the profile and the docs have what it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from benchmark.experiment import slurm
from benchmark.experiment.cluster import TRIES, told

ROOT = Path(__file__).resolve().parents[2]
NO_ACCOUNTING = "echo Slurm accounting storage is disabled >&2; exit 1"  # as of Slurm 22.05


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A function that puts programs on an otherwise empty PATH, each a line of sh."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(slurm, "find_spec", lambda name: True)

    def put(**lines: str) -> None:
        for name, line in lines.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
            (tmp_path / name).chmod(0o755)

    return put


def config(age: int) -> str:
    return f"echo 'MessageTimeout          = 10 sec'; echo 'MinJobAge               = {age} sec'"


def test_no_slurm_is_no_fault(programs):
    assert slurm.finding() == ("sbatch is not on PATH: no jobs can be sent to a cluster from here", "")


def test_a_controller_that_does_not_answer(programs):
    programs(sbatch="", sinfo="exit 1", sacct=NO_ACCOUNTING, scontrol="exit 1")
    found, remedy = slurm.finding()
    assert "no controller answers" in found and remedy


def test_without_accounting_and_gpus(programs):
    programs(sbatch="", sinfo="echo '(null)'", sacct=NO_ACCOUNTING, scontrol=config(300))
    found, remedy = slurm.finding()
    assert found.startswith("a cluster without accounting, without GPUs")
    assert found.endswith("choose slurm-status-command: squeue, gpu: 0") and not remedy


def test_with_accounting_and_gpus(programs):
    programs(sbatch="", sinfo="echo gpu:a100:4", sacct="", scontrol=config(2))
    found, _ = slurm.finding()
    assert found.startswith("a cluster with accounting, with GPUs")
    assert found.endswith("choose slurm-status-command: sacct")


def test_a_job_that_is_soon_forgotten_is_asked_for_sooner(programs):
    """The executor turns to `sacct` below three intervals, and waits for ever where that does not answer."""
    programs(sbatch="", sinfo="echo gpu:1", sacct=NO_ACCOUNTING, scontrol=config(60))
    assert slurm.finding()[0].endswith("squeue, slurm-init-seconds-before-status-checks: 20")


def test_the_executor_may_be_missing(programs, monkeypatch):
    programs(sbatch="", sinfo="echo gpu:1", sacct="", scontrol=config(300))
    monkeypatch.setattr(slurm, "find_spec", lambda name: None)
    assert ".[slurm]" in slurm.finding()[1]


def test_the_profile_has_the_lines_that_are_chosen():
    text = (ROOT / slurm.PROFILE).read_text()
    profile = yaml.safe_load(text)
    assert profile["slurm-status-command"] == "squeue" and "set-resources" not in profile
    without = yaml.safe_load(re.sub(r"^# (?=set-resources:|  )(?!  snakemake)", "", text, flags=re.MULTILINE))
    assert without["set-resources"] == {"pretrain": {"gpu": 0}, "pretrain_in": {"gpu": 0}}
    docs = (ROOT / "docs/cluster.md").read_text()
    assert "`slurm-status-command: squeue`" in docs and "`gpu: 0`" in docs


def test_an_arm_is_given_up_later_on_a_cluster():
    """There each attempt has twice the memory; on one machine a second attempt would be killed as the first was."""
    assert [told(attempt, remote=False) for attempt in (1, 2, 3)] == [1, 2, 3]
    assert [told(attempt, remote=True) for attempt in range(1, TRIES + 1)] == [1] * TRIES
    assert told(TRIES + 1, remote=True) == 2
