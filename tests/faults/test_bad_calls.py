"""Wrong calls, damaged records and interruptions on the command line: one line and an exit code each."""

from __future__ import annotations

import pytest
import yaml

from benchmark import cli
from tests.helpers.configs import LEAST


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """`call(words)` → exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(LEAST))

    def call(*words: str):
        monkeypatch.setattr("sys.argv", ["unitbench", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lst"], "unitbench: No such command 'lst'. Did you mean 'list'?; see unitbench --help"),
        (["list", "--foo"], "unitbench: No such option: --foo; see unitbench --help"),
        (["run", "--cores"], "unitbench: Option '--cores' requires an argument; see unitbench --help"),
        (["show", "--config", "/dev/zero"], "unitbench: /dev/zero: not a regular file; give a YAML file"),
        (
            ["check-plugin", "pca", "--options", "{a: 1, a: 2}"],
            "unitbench: --options: line 1: the key 'a' stands",
        ),
    ],
)
def test_a_wrong_call_is_one_line_and_2(call, words, line):
    code, out, err = call(*words)
    assert (code, out) == (2, "") and err.startswith(line) and err.count("\n") == 1


@pytest.mark.parametrize("content", ["5", "[]", '{"genes": 1}', "{"])
@pytest.mark.parametrize("step", ["check", "pretrain", "score", "status", "leaderboard"])
def test_a_damaged_record_is_one_line_in_every_step(call, tmp_path, step, content):
    (tmp_path / "results/mine/corpus").mkdir(parents=True)
    (tmp_path / "results/mine/corpus/record.json").write_text(content)
    code, _, err = call(step, "--config", "mine.yaml")
    assert code == 2 and err.count("\n") == 1 and err.startswith("unitbench: results/mine/")


def test_interrupted_is_130_and_a_fault_of_the_program_says_so(call, monkeypatch):
    def raises(error: BaseException):
        def command(*_):
            raise error

        return command

    monkeypatch.setattr("benchmark.experiment.layout.open_run", raises(KeyboardInterrupt()))
    code, _, err = call("status", "--config", "mine.yaml")
    assert code == 130 and "Traceback" not in err
    monkeypatch.setattr("benchmark.experiment.layout.open_run", raises(ZeroDivisionError("a bug")))
    code, _, err = call("status", "--config", "mine.yaml")
    assert code == 1 and "Traceback" in err and "ZeroDivisionError: a bug" in err
    assert err.splitlines()[-1] == "unitbench: an error of UnitBench or of a plugin; please report the lines above"


def test_a_home_that_cannot_be_written_is_one_line(call, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nobody")
    code, out, err = call("run", "--config", "mine.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert (
        "/proc/nobody/.cache/snakemake: Snakemake cannot write its files there" in err and "set XDG_CACHE_HOME" in err
    )
