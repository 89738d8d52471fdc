"""Damaged files: each is named in one line, with the cause and the remedy, by whatever reads it."""

from __future__ import annotations

import io
import math
import zipfile
from contextlib import redirect_stderr

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from benchmark import cli
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_array, read_arrays, read_json, read_parquet, write_json
from benchmark.core.scores import Score, read_rows, read_table, write_rows, write_table
from benchmark.core.timing import read_times
from benchmark.data.corpus import open_corpus
from benchmark.experiment.layout import open_run
from benchmark.experiment.progress import read_report
from benchmark.experiment.records import KEYS, read_records
from benchmark.report.mlflow_board import board_url
from benchmark.training.budget import Meter
from benchmark.training.checkpoint import Checkpoint
from tests.helpers.configs import LEAST

SCORE = Score(
    dataset="d",
    split="donor",
    fold="fold0",
    method="pca",
    unit="none",
    budget_axis="flops",
    budget=0,
    seed=0,
    task="domain",
    setting="knn",
    metric="macro_f1",
    value=0.5,
)


def one_line(read, path, *parts: str) -> None:
    """Reading the file is refused, in one line that holds the parts."""
    with pytest.raises(UnitBenchError) as error:
        read(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and all(part in line for part in parts), line


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no valid JSON"),
        ("[1, 2", "no valid JSON"),
        ("\xff", "no valid JSON"),
        ("[" * 100_000, "no valid JSON"),
        ("5", "damaged: holds int, dict is expected"),
        ("[]", "damaged: holds list, dict is expected"),
        ("{}", "damaged: no list 'genes'"),
        ('{"genes": 5}', "damaged: no list 'genes'"),
    ],
    ids=lambda value: value[:10],
)
def test_json(path, text, cause):
    path.write_text(text, encoding="latin-1")
    one_line(lambda file: read_json(file, dict, {"genes": list}), path, cause, "; delete it and run again")


@pytest.mark.parametrize(
    ("read", "write"),
    [
        (read_arrays, lambda path: np.savez(path, a=np.arange(1000.0), b=np.ones(3))),
        (read_array, lambda path: np.save(path, np.arange(1000.0))),
        (read_parquet, lambda path: pd.DataFrame({"a": np.arange(1000.0)}).to_parquet(path)),
    ],
    ids=["npz", "npy", "parquet"],
)
def test_arrays_and_tables_that_are_cut_short_empty_or_something_else(tmp_path, read, write):
    path = tmp_path / ("file.npy" if read is read_array else "file.npz")
    write(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"something else"):
        path.write_bytes(content)
        one_line(read, path, "damaged, it cannot be read", "; delete it and run again")
    path.unlink()
    one_line(read, path, "file not found")


def test_an_array_with_another_byte_is_not_read(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, a=np.zeros(1000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    one_line(read_arrays, path, "Bad CRC-32")


def test_no_code_in_an_array_is_run(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, a=np.array([print], dtype=object))
    one_line(read_arrays, path, "allow_pickle=False")


def test_a_table_that_lacks_a_column(path):
    pd.DataFrame({"dataset": ["d"]}).to_parquet(path)
    one_line(read_table, path, "damaged: no column 'split'")


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ([], "damaged: no score rows"),
        (5, "damaged: holds int, list is expected"),
        ([5], "damaged: a row: "),
        ([{}], "damaged: dataset: Field required"),
        ([SCORE.model_dump() | {"value": "high"}], "damaged: value: Input should be a valid number"),
        ([SCORE.model_dump() | {"value": None}], "an ok row needs a finite value"),
    ],
    ids=str,
)
def test_score_rows_that_are_none(path, rows, cause):
    write_json(path, rows)
    one_line(lambda file: read_rows([file]), path, cause)


def test_score_rows_as_they_were_written(path):
    assert read_rows([write_rows(path, [SCORE])]).loc[0, "value"] == 0.5


@pytest.fixture
def run(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(LEAST))
    return open_run(tmp_path / "mine.yaml", tmp_path)


def test_records_that_lack_an_arm_are_no_records_of_the_job(run):
    job, pairs = next(iter(run.jobs.items()))
    whole = [dict.fromkeys(KEYS, "") | {"method": m, "fold": f} for m, f in pairs for _ in run.config.seeds]
    write_json(run.arms(job), whole)
    assert read_records(run, job) == whole
    for content, cause in (([], "lacks arms of 'pca'"), (whole[1:], "lacks arms of"), ([5], "more than records")):
        write_json(run.arms(job), content)
        one_line(lambda _: read_records(run, job), run.arms(job), cause, "delete it and run again")


@pytest.mark.parametrize("content", [5, {}, {"genes": [], "slides": 5}, {"genes": [], "slides": {"a": 5}}], ids=str)
def test_a_record_of_a_corpus_that_is_none(tmp_path, content):
    path = write_json(tmp_path / "record.json", content)
    one_line(lambda _: open_corpus(tmp_path), path, "damaged: ")


def test_a_damaged_report_of_progress_is_no_report(path):
    for text in ("", "5", "{}", "{"):
        path.write_text(text)
        assert read_report(path) is None


def test_damaged_times(tmp_path):
    path = tmp_path / "prepare.tsv"
    for text in ("s\nfast\n", "h\n1\n"):
        path.write_text(text)
        one_line(lambda _: read_times(tmp_path, ["prepare"]), path, "damaged", "; delete it")


def test_a_damaged_database(path):
    path.write_bytes(b"no database" * 1000)
    one_line(lambda file: board_url(file, "mine", 5000), path, "cannot be used", "delete it and run again")


# Checkpoints


def training(seed: int):
    """A module with an optimiser that has a state, and a meter."""
    torch.manual_seed(seed)
    module = torch.nn.Linear(6, 5)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    return module, optimizer, Meter("flops", 1e9, flops=float(seed), steps=seed, seen=np.zeros(4, dtype=bool))


def resumed(path, seed: int = 1):
    """What a training of this seed is after it has looked for a checkpoint, what it was before, and what was said."""
    module, optimizer, meter = training(seed)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with redirect_stderr(io.StringIO()) as said:
        Checkpoint(path, module, optimizer, meter).resume()
    return module.state_dict(), meter, before, said.getvalue()


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_byte_that_has_changed_never_gives_other_weights(tmp_path):
    path, (module, *rest) = tmp_path / "checkpoint.pt", training(7)
    Checkpoint(path, module, *rest).save_after(-math.inf)
    whole, outcomes = path.read_bytes(), set()
    for place in np.linspace(0, len(whole) - 1, 15, dtype=int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        state, meter, before, said = resumed(path)
        if said:
            assert said.count("\n") == 1 and "weights_only" not in said
            assert f"{path}: damaged" in said and "set aside as checkpoint.pt.damaged, the arm begins anew" in said
            assert same(state, before) and meter.steps == 1 and not path.exists()
            assert (tmp_path / "checkpoint.pt.damaged").exists()
        else:  # it was no byte of the state
            assert same(state, module.state_dict()) and meter.steps == 7
        outcomes.add(bool(said))
    assert outcomes == {True, False} or outcomes == {True}


@pytest.mark.parametrize("content", ["empty", "text", "pickle", "other"])
def test_a_checkpoint_that_is_none_is_set_aside(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    if content == "pickle":  # torch would advise to load it with its code
        torch.save({"module": print}, path)
    elif content == "other":
        Checkpoint(path, torch.nn.Linear(3, 3), *training(7)[1:]).save_after(-math.inf)
    else:
        path.write_bytes(b"" if content == "empty" else b"some text")
    state, meter, before, said = resumed(path)
    assert "the arm begins anew" in said and "weights_only" not in said
    assert same(state, before) and meter.steps == 1 and not path.exists()


def test_a_whole_checkpoint_is_resumed_without_a_word(tmp_path):
    path, (module, *rest) = tmp_path / "checkpoint.pt", training(7)
    Checkpoint(path, module, *rest).save_after(-math.inf)
    state, meter, _, said = resumed(path)
    assert same(state, module.state_dict()) and meter.steps == 7 and meter.flops == 7 and said == ""
    assert zipfile.is_zipfile(path)


# The command line


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


def test_no_cell_of_a_table_is_a_formula(tmp_path):
    table = pd.DataFrame({"slide": ["=1+1", "@x", "+a", "-b", "a=b", "\t=c"], "value": [-1.0, 0, 1, 2, 3, 4]})
    read = pd.read_csv(write_table(tmp_path / "t.csv", table))
    assert list(read["slide"]) == ["'=1+1", "'@x", "'+a", "'-b", "a=b", "'\t=c"] and read["value"].min() == -1
    assert list(pd.read_parquet(write_table(tmp_path / "t.parquet", table))["slide"]) == list(table["slide"])
