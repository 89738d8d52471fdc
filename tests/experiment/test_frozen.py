"""A run works from a copy of its config, in a folder that Snakemake can work in, and alone there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.core.config import read_config
from benchmark.core.errors import UnitBenchError
from benchmark.experiment import frozen
from benchmark.experiment.frozen import begin, check_path, freeze, lock
from benchmark.experiment.layout import open_run
from tests.helpers.command import environment
from tests.helpers.paths import CONFIG as SHIPPED

CONFIG = {
    "name": "tiny",
    "dataset": {"name": "simulated", "options": {"n_donors": 2}},
    "methods": ["random", {"method": "pca", "vary": {"n_components": [2, 3]}}],
    "tasks": ["domain"],
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(**changes)`: write the config with these keys changed, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frozen, "_locks", [])

    def write(**changes) -> Path:
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(CONFIG | changes))
        return path

    write()
    return write


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_copy_says_what_the_config_says(path, tmp_path):
    if path.parent.name in ("datasets", "sets"):
        pytest.skip("no config of an experiment")
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump(read_config(path).model_dump(mode="json"), sort_keys=False, allow_unicode=True))
    assert read_config(copy) == read_config(path)


def test_an_edit_of_the_config_leaves_the_run_as_it_is(write):
    run, _ = freeze(open_run("tiny.yaml"))
    write(seeds=[7])
    assert open_run(run.path).config.seeds == (0, 1, 2) and run.path == Path("results/tiny/config.yaml")
    assert begin("tiny.yaml", "results", main=False).config.seeds == (0, 1, 2), (
        "a job on another machine reads the copy"
    )
    Path("tiny.yaml").write_text("name: tiny\ndataset: [")
    assert open_run(run.path).config == run.config


def test_a_changed_config_says_so_in_one_line(write):
    assert freeze(open_run("tiny.yaml"))[1] == ""
    assert freeze(open_run("tiny.yaml"))[1] == ""
    write(seeds=[7], neighbours=[0])
    run, news = freeze(open_run("tiny.yaml"))
    assert news.startswith("tiny.yaml: changed since the last run (seeds, neighbours): this is a new run")
    assert run.config.seeds == (7,) and freeze(open_run("tiny.yaml"))[1] == ""


def test_a_copy_that_is_damaged_is_written_anew(write):
    run, _ = freeze(open_run("tiny.yaml"))
    run.path.write_text("{")
    assert freeze(open_run("tiny.yaml"))[0].config == run.config


def test_the_copy_can_be_run_itself(write):
    run, _ = freeze(open_run("tiny.yaml"))
    before = run.path.stat().st_mtime_ns
    again = begin(run.path, "results", main=True)
    assert again.results == run.results and run.path.stat().st_mtime_ns == before


def test_a_second_run_of_a_folder_is_refused_while_the_first_works(write):
    held = lock(open_run("tiny.yaml"))
    write(seeds=[7])
    code = "from benchmark.experiment.frozen import begin; begin('tiny.yaml', 'results', True)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert "another run works on this experiment; wait for it to end" in done.stderr
    assert not Path("results/tiny/config.yaml").exists()
    held.close()


@pytest.mark.parametrize("name", ["a{b}", "{", "new\nline", "tab\t", "what?"])
def test_a_folder_that_snakemake_cannot_work_in_is_refused_in_one_line(write, name):
    with pytest.raises(
        UnitBenchError, match="cannot be given to Snakemake or MLflow; give a folder without"
    ) as refused:
        begin("tiny.yaml", name, main=True)
    assert "\n" not in str(refused.value) and not Path(name).exists()


@pytest.mark.parametrize(
    "name", ["with space", "it's", 'a "b"', "a;touch X", "$(touch X)", "-leading", "ünï", "*[a]", "100%", "#1"]
)
def test_other_names_are_not_refused(name):
    check_path(Path(name) / "tiny")
