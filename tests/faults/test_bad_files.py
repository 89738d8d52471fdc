"""Damaged files: each is named in one line, with the cause and the remedy, by whatever reads it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_array, read_arrays, read_json, read_parquet, write_json
from benchmark.core.scores import Score, read_rows, read_table, write_rows, write_table
from benchmark.core.timing import read_times
from benchmark.data.corpus import open_corpus
from benchmark.experiment.layout import open_run
from benchmark.experiment.progress import read_report
from benchmark.experiment.records import KEYS, read_records
from benchmark.report.mlflow_board import board_url
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


def test_no_cell_of_a_table_is_a_formula(tmp_path):
    table = pd.DataFrame({"slide": ["=1+1", "@x", "+a", "-b", "a=b", "\t=c"], "value": [-1.0, 0, 1, 2, 3, 4]})
    read = pd.read_csv(write_table(tmp_path / "t.csv", table))
    assert list(read["slide"]) == ["'=1+1", "'@x", "'+a", "'-b", "a=b", "'\t=c"] and read["value"].min() == -1
    assert list(pd.read_parquet(write_table(tmp_path / "t.parquet", table))["slide"]) == list(table["slide"])
