"""One arm alone: what it leaves, and how the rest of the run comes to know of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from benchmark import cli
from benchmark.core.files import read_json
from benchmark.experiment.layout import open_run
from benchmark.experiment.mend import mend
from tests.helpers.plugins import install

FAILS = """
from pathlib import Path

class Fails:
    unit = "none"

    def fit(self, corpus, budget, seed):
        if not Path("mended").exists():
            raise ValueError("not mended")

    def embed(self, slide):
        return slide.obsm["position"]
"""
CONFIG = {
    "name": "tiny",
    "dataset": {"name": "simulated", "options": {"n_donors": 2, "shape": [6, 6], "n_genes": 20, "image": False}},
    "methods": ["random", "fails"],
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "methods_per_job": 2,
    "seeds": [0, 1],
    "tasks": ["domain"],
}
ARM = "fails/fold0/0-seed1"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """`call(words)`: exit code and stderr of `unitbench`, in a folder with a config and a corpus."""
    install(tmp_path / "site", "failing", FAILS, "fails = failing:Fails")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(CONFIG))

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["unitbench", *words, "--config", "tiny.yaml"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, capsys.readouterr().err

    assert call("prepare")[0] == 0
    return call


def test_an_arm_that_fails_alone_prints_its_traceback(call):
    code, err = call("pretrain", "--job", "fold0-0", "--arm", ARM)
    assert code == 1 and "Traceback" in err and "failing.py" in err and err.rstrip().endswith("ValueError: not mended")
    folder = Path("results/tiny/arms", ARM)
    assert {path.name for path in folder.iterdir()} == {"key", "arm.json", "error.txt"}
    assert [path for path in Path("results/tiny/arms").rglob("arm.json")] == [folder / "arm.json"]
    assert not Path("results/tiny/jobs").exists()


def test_the_job_of_an_arm_need_not_be_named(call):
    assert call("pretrain", "--arm", "random/fold1/0-seed0")[0] == 0
    assert Path("results/tiny/arms/random/fold1/0-seed0/embeddings.npz").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--job", "fold0-0", "--arm", "fails/fold0/0-sed1"],
            "not in job fold0-0; did you mean 'fails/fold0/0-seed1'?",
        ),
        (["--job", "fold1-0", "--arm", ARM], "not in job fold1-0; did you mean 'fails/fold1/0-seed1'?"),
        (["--arm", "fail/fold0/0-seed1"], "not in tiny.yaml; did you mean 'fails/fold0/0-seed1'?"),
    ],
)
def test_an_unknown_arm_names_the_nearest(call, words, message):
    code, err = call("pretrain", *words)
    assert code == 2 and err.count("\n") == 1 and message in err


def test_a_later_job_uses_the_arm(call):
    Path("mended").touch()
    assert call("pretrain", "--job", "fold0-0", "--arm", ARM)[0] == 0
    fitted = Path("results/tiny/arms", ARM, "arm.json").read_bytes()
    assert call("pretrain", "--job", "fold0-0")[0] == 0
    assert Path("results/tiny/arms", ARM, "arm.json").read_bytes() == fitted


def test_the_records_of_a_job_stay_whole_and_a_later_run_takes_the_arm_in(call):
    run = open_run("tiny.yaml")
    assert call("pretrain", "--job", "fold0-0")[0] == 0
    before = run.arms("fold0-0").read_bytes()
    Path("mended").touch()
    assert call("pretrain", "--job", "fold0-0", "--arm", ARM)[0] == 0
    assert run.arms("fold0-0").read_bytes() == before
    mend(run)
    records = read_json(run.arms("fold0-0"))
    assert [record["status"] for record in records] == ["ok", "ok", "failed", "ok"]
    assert {key: record for key, record in enumerate(read_json(run.arms("fold0-0"))) if key != 3} == {
        key: record for key, record in enumerate(yaml.safe_load(before)) if key != 3
    }


def test_nothing_is_written_where_no_arm_has_changed(call):
    run = open_run("tiny.yaml")
    assert call("pretrain", "--job", "fold0-0")[0] == 0
    written = run.arms("fold0-0").stat().st_mtime_ns
    mend(run)
    assert run.arms("fold0-0").stat().st_mtime_ns == written
