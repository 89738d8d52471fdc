"""Methods that need another environment: where it is made, what a failure leaves, and which jobs run in it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import yaml

from benchmark.core import environments
from benchmark.core.environments import find_environment, python_maker
from benchmark.core.errors import UnitBenchError
from benchmark.experiment.depends import depends
from benchmark.experiment.layout import open_run
from benchmark.experiment.workflow import SNAKEFILE
from tests.helpers.command import environment
from tests.helpers.guest import CONFIG, install_guest, times_made, write_environment
from tests.helpers.plugins import install


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The environment `guesthouse` of the working folder. Its venvs have no pip: that takes seconds to install."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environments, "python_maker", lambda version: [*python_maker(version), "--without-pip"])
    write_environment(tmp_path)
    return find_environment("guesthouse")


def left(house) -> list[str]:
    """What there is in the folder, other than the files of the environment."""
    return sorted(path.name for path in house.home.iterdir() if path.name not in ("envs", "made.txt"))


# The venv


def test_the_venv_holds_what_the_script_installs_and_is_made_once(house):
    assert not house.made
    house.make()
    done = subprocess.run([house.python, "-c", "import only_there, sys; print(sys.prefix)"], capture_output=True)
    assert done.stdout.decode().strip() == str(house.home / ".venv-guesthouse")
    house.make()
    assert house.made and times_made(house.home) == 1


def test_it_is_made_anew_when_its_files_say_something_else(house):
    house.make()
    write_environment(house.home, "echo again")
    changed = find_environment("guesthouse")
    assert not changed.made
    changed.make()
    assert changed.made and times_made(house.home) == 2


def test_runs_that_need_it_at_once_make_it_once(house):
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: find_environment("guesthouse").make(), range(3)))
    assert house.made and times_made(house.home) == 1


def test_nothing_is_left_of_a_failure(house):
    write_environment(house.home, "exit 3")
    with pytest.raises(
        UnitBenchError, match=r"environment 'guesthouse': bash .* ended with 3.*unitbench make-environment guesthouse"
    ):
        find_environment("guesthouse").make()
    assert left(house) == [".venv-guesthouse.lock"]


def test_what_a_kill_has_left_is_not_used(house):
    (house.venv / "lib").mkdir(parents=True)
    (house.venv / "lib/half.txt").touch()
    house.make()
    assert house.made and not (house.venv / "lib/half.txt").exists()


def test_what_a_venv_cannot_hold_is_refused(house):
    values = yaml.safe_load(house.file.read_text())
    house.file.write_text(yaml.safe_dump(values | {"dependencies": ["python=3.11", "r-base"]}))
    with pytest.raises(UnitBenchError, match=r"guesthouse\.yaml: asks for 'r-base', and a venv holds Python and pip"):
        house.make()
    assert left(house) == [".venv-guesthouse.lock"]


def test_a_python_that_is_nowhere_is_named_with_the_remedy(house, monkeypatch):
    monkeypatch.setenv("PATH", "")
    write_environment(house.home, version="2.7")
    with pytest.raises(UnitBenchError, match=r"Python 2\.7: not on PATH; install it, or uv"):
        find_environment("guesthouse").make()


def test_the_working_folder_comes_first_and_an_unknown_name_lists_what_there_is(house):
    assert find_environment("guesthouse").home == house.home
    assert find_environment("scgpt").home == environments.ROOT
    with pytest.raises(UnitBenchError, match=r"envs/scgtp.yaml: file not found; did you mean 'scgpt'\?"):
        find_environment("scgtp")


# The jobs


@pytest.fixture
def opened(house, monkeypatch):
    """`opened(job)`: the run of `CONFIG` where these packages are installed."""
    install_guest(house.home / "guests")
    install(house.home / "others", "other", "class Other: unit = 'none'", "other = other:Other")
    config = CONFIG | {"methods": ["random", "guest", "other", "scgpt_official"], "methods_per_job": 2}
    (house.home / "tiny.yaml").write_text(yaml.safe_dump(config))

    def opened(*packages: str, job: str | None = None):
        with monkeypatch.context() as patch:
            for package in packages:
                patch.syspath_prepend(house.home / package)
            run = open_run("tiny.yaml", house.home, job)
            return run, run.jobs

    return opened


def test_a_job_holds_methods_of_one_environment(opened):
    _, jobs = opened("guests", "others")
    assert {name: [label for label, _ in pairs] for name, pairs in jobs.items() if name.startswith("fold0")} == {
        "fold0-0": ["random", "other"],
        "fold0-1": ["scgpt_official"],  # without a checkpoint it is fitted nowhere, so it needs no environment
        "fold0-0@guesthouse": ["guest"],
    }


def test_an_environment_needs_the_methods_of_its_own_jobs_alone(opened):
    everywhere, jobs = opened("guests", "others")
    run, jobs_of_one = opened("guests", job="fold1-0@guesthouse")
    assert jobs_of_one["fold1-0@guesthouse"] == jobs["fold1-0@guesthouse"]
    assert run.environment("fold1-0@guesthouse").name == "guesthouse" and run.environment("fold1-0") is None
    with pytest.raises(UnitBenchError, match="method 'other': not installed"):
        opened("guests")
    assert [environment.name for environment in everywhere.environments] == ["guesthouse"]


def test_a_change_of_the_environment_runs_its_arms_again_and_no_others(opened, house):
    def settings(job: str) -> dict:
        run, _ = opened("guests", "others")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(house.home / "guests")
            patch.syspath_prepend(house.home / "others")
            return depends(run, "pretrain", job)

    before = {job: settings(job) for job in ("fold0-0", "fold0-0@guesthouse")}
    write_environment(house.home, "echo again")
    assert settings("fold0-0") == before["fold0-0"]
    assert settings("fold0-0@guesthouse") != before["fold0-0@guesthouse"]


# The workflow


def snakemake(folder, *words: object, config: str = "tiny.yaml") -> str:
    """What Snakemake prints in `folder`; it must end well."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, "--cores", "2", *words]
    command = [*map(str, command), "--config", f"experiment={config}"]
    done = subprocess.run(command, cwd=folder, env=environment(folder / "site"), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with its own environment, in which the workflow has run as far as the leaderboard."""
    folder = tmp_path_factory.mktemp("whole")
    install_guest(folder / "site")
    write_environment(folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake(folder, "results/tiny/leaderboard.csv")
    return folder


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_parquet(folder / "results/tiny/scores.parquet")


@pytest.mark.slow
def test_the_workflow_makes_the_venv_once_and_runs_the_method_there(folder, rows):
    assert times_made(folder) == 1
    guest = rows[rows["method"] == "guest"]
    assert set(guest["status"]) == {"ok"} and len(guest[guest["task"] == "domain"])


@pytest.mark.slow
def test_without_a_checkpoint_the_official_scgpt_is_not_applicable_and_makes_no_environment(folder, rows):
    official = rows[rows["method"] == "scgpt_official"]
    assert set(official["task"]) == {"arm", "domain"}
    assert set(official["status"]) == {"not applicable"} and set(official["reason"]) == {"no checkpoint"}
    assert not (folder / ".venv-scgpt").exists()


@pytest.mark.slow
def test_a_reference_says_so_beside_its_name_and_which_slides_it_has_seen(folder, rows):
    names = pd.read_csv(folder / "results/tiny/leaderboard.csv")["name"]
    assert set(names) == {"random", "guest (a guest)", "scgpt_official (not compute-matched)"}
    guest = rows[(rows["method"] == "guest") & (rows["task"] == "domain")].set_index("slide")
    assert set(guest.loc["donor0_0", "note"]) == {"in the released model's pretraining"}
    assert guest.loc["donor0_0", "transductive"].all() and not guest.loc["donor1_0", "transductive"].any()
    assert set(guest.loc["donor1_0", "note"]) == {""}


@pytest.mark.slow
def test_another_experiment_finds_the_venv(folder):
    (folder / "other.yaml").write_text(yaml.safe_dump(CONFIG | {"name": "other", "seeds": [1]}))
    output = snakemake(folder, "-n", config="other.yaml")
    assert "pretrain_in" in output and "environment_" not in output
