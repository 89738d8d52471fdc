"""The command line: help that a newcomer understands, and one line for each error."""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import typer
import yaml

from benchmark import cli
from benchmark.experiment.layout import open_run
from tests.helpers.command import command, environment

COMMANDS = sorted(typer.main.get_command(cli.app).commands)
TINY = {
    "name": "tiny",
    "dataset": {"name": "simulated", "options": {"n_donors": 2, "shape": [6, 6], "n_genes": 20, "image": False}},
    "methods": ["pca"],
    "tasks": ["domain"],
}
FOLDER = {
    "name": "mine",
    "title": "One slide",
    "source": "made here",
    "licence": "none",
    "technology": "spots on a square grid",
    "label": "layer",
    "donor": {"uns": "donor"},
    "lattice": {"kind": "square", "pitch": 100, "unit": "µm"},
}


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """`call(words)` in a folder of its own → exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object):
        monkeypatch.setattr(sys, "argv", ["unitbench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


def test_the_version_is_that_of_the_package(call):
    assert call("--version") == (0, f"unitbench {version('unitbench')}\n", "")


def refused(answer, *parts: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that holds all the parts."""
    code, out, err = answer
    assert code == 2 and out == "", (code, out, err)
    assert err.startswith("unitbench: ") and err.count("\n") == 1
    for part in parts:
        assert part in err, err


def write(path: str, values: dict) -> str:
    Path(path).write_text(yaml.safe_dump(values))
    return path


def a_slide() -> ad.AnnData:
    obs = pd.DataFrame({"array_row": [0, 0, 1], "array_col": [0, 1, 0], "layer": ["a", "b", "a"]}, index=list("pqr"))
    slide = ad.AnnData(np.arange(12, dtype=np.float32).reshape(3, 4), obs, pd.DataFrame(index=list("wxyz")))
    slide.uns["donor"] = "D1"
    return slide


def test_the_steps_of_the_workflow_are_commands(call):
    code, out, _ = call("--help")
    assert code == 0
    for name in (
        "list",
        "prepare",
        "check",
        "pretrain",
        "score",
        "leaderboard",
        "report",
        "track",
        "show",
        "status",
        "mlflow",
        "doctor",
        "run",
    ):
        assert name in COMMANDS and name in out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(call, name):
    code, out, _ = call(name, "--help")
    about = typer.main.get_command(cli.app).commands[name].help.strip()
    assert code == 0 and about.split(".")[0].split()[0] in out and len(about.split()) >= 4


def test_module_and_program_are_one():
    done = subprocess.run(command("--help"), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "prepare, check, pretrain" in done.stdout


@pytest.mark.parametrize(
    ("old", "new"), [("verdict", "show"), ("board", "mlflow"), ("environment", "make-environment")]
)
def test_an_old_name_of_a_command_still_works_and_is_hidden(call, old, new):
    assert old not in COMMANDS and f" {old} " not in call("--help")[1]
    code, out, err = call(old, "--help")
    assert (code, err) == (0, f"`unitbench {old}` is now `unitbench {new}`\n")
    assert out == call(new, "--help")[1]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"budgets": {}}, ["mine.yaml: unknown key 'budgets'", "did you mean 'budget'?"]),
        ({"methods": ["pach"]}, ["method 'pach': not installed", "did you mean 'patch'?"]),
        ({"tasks": ["domains"]}, ["task 'domains': not installed", "did you mean 'domain'?"]),
        ({"dataset": {"name": "her2"}}, ["dataset 'her2': not installed", "did you mean 'her2st'?"]),
        ({"dataset": {"name": "simulated", "options": {"donors": 2}}}, ["unknown option 'donors'", "'n_donors'?"]),
        ({"dataset": {"name": "simulated", "options": {"n_donors": 0}}}, ["n_donors", "greater than or equal to 1"]),
    ],
)
def test_a_config_that_is_not_understood(call, changes, parts):
    refused(call("prepare", "--config", write("mine.yaml", TINY | changes)), *parts)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    "method", [{"method": "pca", "options": {"k": 1}}, {"method": "spot_genes", "options": {"size": 1}}]
)
def test_a_run_refuses_options_before_it_starts(call, method):
    refused(call("run", "--config", write("mine.yaml", TINY | {"methods": [method]})), "unknown option")
    assert not Path("results").exists()


def test_a_config_that_is_no_config(call):
    refused(call("prepare", "--config", "absent.yaml"), "absent.yaml: file not found", "config/default/simulated.yaml")
    Path("broken.yaml").write_text("name: [")
    refused(call("run", "--config", "broken.yaml"), "broken.yaml: no valid YAML")
    assert not Path("results").exists()


@pytest.mark.parametrize("name", ["check", "pretrain", "score", "leaderboard", "report", "track", "show", "mlflow"])
def test_a_step_before_its_time_says_what_is_missing(call, name):
    refused(call(name, "--config", write("tiny.yaml", TINY)), "results/tiny/", "file not found")


def negative(slide):
    slide.X[0, 0] = -1


def no_number(slide):
    slide.X[1, 2] = np.nan


def fractional(slide):
    slide.X[1, 2] = 0.5


def same_spots(slide):
    slide.obs_names = ["p", "q", "p"]


def same_genes(slide):
    slide.var_names = ["w", "x", "x", "z"]


def no_positions(slide):
    del slide.obs["array_row"]


def no_labels(slide):
    del slide.obs["layer"]


def no_donor(slide):
    del slide.uns["donor"]


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        (negative, "negative counts"),
        (no_number, "NaN or infinite counts"),
        (fractional, "counts are not whole numbers"),
        (same_spots, "duplicate spot 'p'"),
        (same_genes, "duplicate gene 'x'"),
        (no_positions, "positions are missing: no obs['array_row']"),
        (no_donor, "no donor"),
        (lambda slide: slide[:1].copy(), "1 spot(s)"),
    ],
)
def test_a_slide_that_breaks_the_schema(call, harm, cause):
    slide = a_slide()
    slide = harm(slide) or slide
    Path("slides").mkdir()
    slide.write_h5ad("slides/one.h5ad")
    refused(prepare_folder(call), "slides/one.h5ad: ", cause)


def test_a_column_of_labels_that_no_slide_has(call):
    Path("slides").mkdir()
    slide = a_slide()
    no_labels(slide)
    slide.write_h5ad("slides/one.h5ad")
    code, _, err = prepare_folder(call)
    first, last = err.splitlines()
    assert (code, first) == (2, "slide one: no labels")
    assert last.startswith("unitbench: about.yaml: no slide has a label in obs['layer']")


def test_a_slide_that_is_truncated_or_altered_or_missing(call):
    Path("slides").mkdir()
    a_slide().write_h5ad("slides/one.h5ad")
    whole = Path("slides/one.h5ad").read_bytes()
    refused(prepare_folder(call, files={"one.h5ad": "0" * 64}), "slides/one.h5ad: ", "sha256")
    refused(prepare_folder(call, files={"two.h5ad": "0" * 64}), "slides/two.h5ad: file not found")
    Path("slides/one.h5ad").write_bytes(whole[: len(whole) // 2])
    refused(prepare_folder(call), "slides/one.h5ad: ", "cannot be read")


def prepare_folder(call, **changes):
    write("about.yaml", FOLDER | {"folder": str(Path("slides").resolve())} | changes)
    dataset = {"name": "h5ad_folder", "options": {"describe": "about.yaml"}}
    answer = call("prepare", "--config", write("mine.yaml", TINY | {"name": "mine", "dataset": dataset}))
    assert not list(Path("results").rglob("*.*")), "something half-written"
    return answer


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path):
    """A limit on the size of files stands in for the disk."""
    path = write(str(tmp_path / "tiny.yaml"), TINY)
    done = subprocess.run(
        command("prepare", "--config", path),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)),
    )
    refused((done.returncode, done.stdout, done.stderr), "donor0_0.h5ad: cannot be written", "free disk space")
    assert not [file for file in (tmp_path / "results").rglob("*") if file.is_file()]


def test_results_that_cannot_be_written_are_one_line(call):
    Path("results").write_text("a file where a folder should be")
    refused(call("prepare", "--config", write("tiny.yaml", TINY)), "results", "correct the path or free disk space")


def test_preparing_twice_and_a_newcomers_first_steps(call):
    for _ in range(2):
        code, _, err = call("prepare", "--config", write("tiny.yaml", TINY))
        assert code == 0 and "4 slides" in err and "20 genes" in err


@pytest.mark.parametrize("step", ["check", "pretrain"])
def test_settings_that_the_corpus_cannot_serve_are_refused_before_any_arm_begins(call, step):
    greedy = {"method": "patch", "label": "greedy", "options": {"size": 4, "n_channels": 30}}
    path = write("tiny.yaml", TINY | {"methods": ["pca", greedy]})
    assert call("prepare", "--config", path)[0] == 0
    refused(call(step, "--config", path), "method 'greedy': patch unit: 30 channels of 20 genes; set fewer channels")
    assert {path.name for path in Path("results/tiny").iterdir()} == {"corpus"}
    write("tiny.yaml", TINY | {"methods": ["pca"]})
    assert call("check", "--config", path)[0] == 0 and list(Path("results/tiny/checked").iterdir())


def test_a_refused_setting_leaves_no_mark_of_a_check(call):
    path = write("tiny.yaml", TINY)
    call("prepare", "--config", path)
    call("check", "--config", path)
    write("tiny.yaml", TINY | {"methods": [{"method": "patch", "options": {"n_channels": 21}}]})
    refused(call("check", "--config", path), "21 channels of 20 genes")
    assert not open_run(path).checked("fold0-0").exists()


def test_doctor_names_what_is_wrong_and_the_remedy(call, monkeypatch):
    monkeypatch.setenv("UNITBENCH_DATA", "nowhere")
    monkeypatch.setenv("PATH", "")
    code, out, _ = call("doctor")
    assert code == 0
    lines = {line.split()[1]: line for line in out.splitlines()}
    assert lines["packages:"].startswith("ok") and "Snakemake" in lines["packages:"]
    assert lines["data:"].startswith("warn") and "no such folder → correct it" in lines["data:"]
    assert "--use-conda` would fail" in lines["conda:"]
    assert "environment scgpt: of scgpt_official: " in out and ".venv-scgpt" in out
    assert "torch" in lines["device:"] and "off" in out.split("telemetry:")[1]
