"""Kubernetes and AWS Batch by their profiles: what is planned and asked, and jobs sent to a stand-in of both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from benchmark.experiment.cluster import UNMEASURED
from benchmark.experiment.workflow import SNAKEFILE
from tests.helpers.clouds import service
from tests.helpers.command import environment

CONFIG = {
    "name": "tiny",
    "dataset": {
        "name": "simulated",
        "options": {"n_donors": 2, "slides_per_donor": 1, "shape": [12, 12], "n_genes": 60, "image": False},
    },
    "methods": ["coordinates"],
    "budget": {"axis": "flops", "amounts": [0]},
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "methods_per_job": 4,
    "neighbours": [0],
    "tasks": ["domain"],
}
# Ends a process that reaches out for another: nothing may, in a dry run.
APART = "import os, sys; sys.addaudithook(lambda event, args: event == 'socket.connect' and os._exit(99))\n"


@dataclass(frozen=True)
class Executor:
    """A profile, the module that it needs, and what only a user knows, on the command line."""

    profile: str
    module: str
    words: tuple[str, ...]


KUBERNETES = Executor(
    "kubernetes",
    "snakemake_executor_plugin_kubernetes",
    ("--kubernetes-persistent-volumes", "claim:/unitbench", "--container-image", "image"),
)
AWS = Executor(
    "aws-batch",
    "snakemake_executor_plugin_aws_basic_batch",
    ("--aws-basic-batch-region=r", "--aws-basic-batch-job-queue=q", "--aws-basic-batch-job-definition=d"),
)
EXECUTORS = [
    pytest.param(
        one,
        id=one.profile,
        marks=pytest.mark.skipif(
            not (find_spec(one.module) and find_spec("snakemake_storage_plugin_fs")),
            reason=f'the extra is not installed: pip install -c constraints.txt -e ".[{one.profile}]"',
        ),
    )
    for one in (KUBERNETES, AWS)
]


@pytest.fixture
def folder(tmp_path) -> Path:
    """The shared folder: the workflow, a config, an environment."""
    shutil.copy(SNAKEFILE, tmp_path)
    shutil.copytree(SNAKEFILE.parent / "envs", tmp_path / "envs")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f"PATH='{Path(sys.executable).parent}':$PATH\n")
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart/sitecustomize.py").write_text(APART)
    return tmp_path


def snakemake(folder: Path, *words: str, results: str = "results", **variables: str) -> subprocess.CompletedProcess:
    """Run Snakemake in the folder; what it printed is `stdout`."""
    config = ("--config", "experiment=config/tiny.yaml", f"results={results}")
    call = [sys.executable, "-m", "snakemake", *words, *config]
    known = environment() | variables
    return subprocess.run(call, cwd=folder, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def through(executor: Executor, folder: Path, change: tuple[str, str] = ("", "")) -> list[str]:
    """The words for a profile as committed, but for the place of the shared folder and a change."""
    text = (SNAKEFILE.parent / "profiles" / executor.profile / "config.yaml").read_text()
    assert change[0] in text
    (folder / "profile.yaml").write_text(text.replace("/unitbench", str(folder)).replace(*change))
    return ["--workflow-profile", "profile.yaml", *(word.replace("/unitbench", str(folder)) for word in executor.words)]


def dry(folder: Path, *words: str) -> str:
    """What a dry run prints that may not reach out for anything."""
    path = os.pathsep.join([str(folder / "apart"), environment()["PYTHONPATH"]])
    done = snakemake(folder, "-n", *words, PYTHONPATH=path, KUBECONFIG="/nowhere")
    assert done.returncode == 0, done.stdout
    return done.stdout


def jobs(printed: str) -> dict[str, int]:
    """How many jobs of each rule a dry run plans."""
    table = printed.partition("Job stats:")[2].partition("total")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def asked(printed: str, rule: str) -> dict[str, str]:
    """The resources of the first job of a rule."""
    line = re.search(rf"^rule {rule}:\n(?:    .*\n)*?    resources: (.*)$", printed, re.MULTILINE)[1]
    return dict(re.findall(r"(\w+)=([^,]*)", line))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_profile_plans_the_jobs_of_a_local_run_and_asks_what_the_config_says(executor, folder):
    more = {"methods": ["coordinates", "graphpca"], "training": {"devices": 2}}  # one is of another environment
    (folder / "config/tiny.yaml").write_text(yaml.safe_dump(CONFIG | more))
    printed = dry(folder, *through(executor, folder), "--cores", "2")  # a dry run takes 1 core where none is named
    assert jobs(printed) == jobs(dry(folder, "--cores", "2")) and jobs(printed)["pretrain_in"] == 2
    assert f"output: {folder}/.venv-peers/.ready (send to storage)" in printed
    memory, seconds = map(int, (UNMEASURED["max_rss"], UNMEASURED["s"]))
    for rule, gpus in {"prepare": None, "pretrain": "2", "score": None}.items():
        of = asked(printed, rule)
        assert (int(of["mem_mb"]), int(of["runtime"]) * 60, of.get("gpu")) == (memory, seconds, gpus)
        if executor is AWS:
            assert (int(of["aws_batch_mem_mb"]), int(of["aws_batch_task_timeout"])) == (memory, seconds)
            assert (of.get("aws_batch_gpu"), of.get("aws_batch_vcpu")) == (gpus, gpus)
        else:
            assert (of["scale"], of["gpu_manufacturer"]) == ("0", "nvidia")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_key_that_the_executor_does_not_know_is_refused(executor, folder):
    key = f"{executor.profile}-namespace" if executor is KUBERNETES else "jobs"
    done = snakemake(folder, "-n", *through(executor, folder, (f"\n{key}:", f"\n{executor.profile}-nonsense:")))
    assert done.returncode != 0 and f"unrecognized arguments: --{executor.profile}-nonsense" in done.stdout


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_user_must_set_is_named_in_one_line(executor, folder):
    printed = snakemake(folder, "-n", *through(executor, folder)[:2]).stdout
    if executor is KUBERNETES:
        assert "Invalid persistent volume spec (SET-THIS), has to be <name>:<path>." in printed
    else:
        (line,) = (line for line in printed.splitlines() if "required arguments are missing" in line)
        assert all(word.partition("=")[0] in line for word in executor.words)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_run_that_was_started_outside_of_the_shared_folder_is_refused(executor, folder):
    words = ("-n", *through(executor, folder))
    done = snakemake(folder, *words, "--default-storage-prefix", "/elsewhere")
    assert f"default-storage-prefix: /elsewhere: the run was started in {folder}; start it in" in done.stdout
    done = snakemake(folder, *words, results="/elsewhere")
    assert "results=/elsewhere: not within the shared folder; give the path" in done.stdout


@pytest.mark.skipif(not find_spec("snakemake_storage_plugin_s3"), reason="snakemake-storage-plugin-s3 is not installed")
def test_a_bucket_is_refused_as_the_folder_of_a_run(folder):
    words = ("--default-storage-provider", "s3", "--default-storage-prefix", "s3://bucket")
    done = snakemake(folder, "-n", "--cores", "1", *words)
    assert "default-storage-provider: s3: the steps of a run share a folder" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("rsync"), reason="the storage plugin fs needs rsync")
@pytest.mark.parametrize("executor", EXECUTORS)
def test_jobs_run_through_the_service_and_one_that_is_lost_is_sent_again_with_twice_the_memory(executor, folder):
    wanted = ("results/tiny/jobs/fold0-0.scores.json", "--jobs", "1")
    quick = ("--seconds-between-status-checks", "1", "--latency-wait", "20")
    with service(folder, lost="pretrain") as (variables, sent):
        done = snakemake(folder, *wanted, *quick, *through(executor, folder), **variables)
    assert done.returncode == 0, done.stdout + "\n".join(job.get("output", "") for job in sent)
    memory = int(UNMEASURED["max_rss"])
    assert [job["memory"] for job in sent] == [memory, memory, 2 * memory, memory]
    assert [job["gpus"] for job in sent] == [0, 1, 1, 0], "prepare, pretrain twice, score"
    assert (folder / "results/tiny/arms").is_dir() and not (folder / ".snakemake/storage").exists(), "a file was copied"
    here = snakemake(folder, "-n", *wanted[:1], "--cores", "1")
    assert "Nothing to be done" in here.stdout, here.stdout
