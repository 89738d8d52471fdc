"""The score row: the one format of all results, and the files of rows."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, read_parquet, write_atomic, write_json
from benchmark.core.typed import fault

Status = Literal["ok", "failed", "not applicable"]


class Score(BaseModel):
    """What was measured, on which slide, under which split, and the value, or the reason why there is none.

    Attributes:
        slide, donor: "pooled" where the metric is taken over the test spots of all slides together.
        self_reported: whether the method itself counted what it spent.
        data: hash of the slides of the dataset.
        protocol: fingerprint of the task's options and of what the split draws. Rows of two protocols do not compare.
        neighbours: over how many spatial neighbours every embedding was averaged before scoring.
        reference: why the method is no rival of the others, such as "not compute-matched".
        note: what else to know about this row.
        options: the plugin and the options of the method, as canonical JSON. Factors are read from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    split: Literal["donor", "block", "random", "few_labels", "none"]
    fold: str
    method: str
    options: str = "{}"
    unit: Literal["spot", "patch", "slide", "none"]
    budget_axis: Literal["flops", "device_seconds", "spots"]
    budget: float
    seed: int
    task: str
    setting: str
    neighbours: int = 0
    slide: str = "pooled"
    donor: str = "pooled"
    metric: str
    value: float | None = None
    status: Status = "ok"
    reason: str = ""
    transductive: bool = False
    reference: str = ""
    note: str = ""
    n_train: int = 0
    n_test: int = 0
    self_reported: bool = False
    data: str = ""
    protocol: str = ""

    @model_validator(mode="after")
    def _value_or_reason(self) -> Score:
        if self.status == "ok" and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(
                f"{self.task}/{self.setting}/{self.metric}: an ok row needs a finite value, not {self.value}"
            )
        if self.status != "ok" and (self.value is not None or not self.reason):
            raise ValueError(f"{self.task}/{self.setting}/{self.metric}: a row without a value needs a reason")
        return self


COLUMNS = list(Score.model_fields)
FORMULA = r"^([=+\-@\t\r])"


def write_rows(path: Path, rows: Iterable[Score]) -> Path:
    """One JSON file for each job."""
    return write_json(path, [row.model_dump() for row in rows])


def read_rows(paths: Iterable[Path]) -> pd.DataFrame:
    """All rows of many files as one table. The order is fixed, so that the same rows give the same file.

    Raises:
        UnitBenchError: no file, or one that is damaged: every job has rows, and each of them is a `Score`.
    """
    table = pd.DataFrame([row.model_dump() for path in paths for row in _rows_of(path)], columns=COLUMNS)
    keys = [column for column in COLUMNS if column not in ("value", "reason", "n_train", "n_test")]
    return table.sort_values(keys, kind="stable", ignore_index=True)


def _rows_of(path: Path) -> list[Score]:
    """The rows of one job. Raises UnitBenchError as `read_rows` does."""
    rows = read_json(path, list)
    try:
        scores = [Score.model_validate(row) for row in rows]
    except ValidationError as error:
        first = error.errors()[0]
        cause = f"damaged: {'.'.join(map(str, first['loc'])) or 'a row'}: {fault(first)}"
        raise UnitBenchError(path, cause, "delete it and run again") from None
    if not scores:
        raise UnitBenchError(path, "damaged: no score rows", "delete it and run again")
    return scores


def read_table(path: Path) -> pd.DataFrame:
    """Score rows of a Parquet file. Columns that an old file lacks get their default values.

    Raises:
        UnitBenchError: no file, a damaged one, or one that lacks another column.
    """
    table = read_parquet(path, [name for name, field in Score.model_fields.items() if field.is_required()])
    known = {name: field.default for name, field in Score.model_fields.items() if not field.is_required()}
    return table.assign(**{name: default for name, default in known.items() if name not in table})[COLUMNS]


def write_table(path: Path, table: pd.DataFrame) -> Path:
    """Parquet, CSV or, if the name ends in .gz, packed CSV. In CSV an apostrophe stands before text that a spreadsheet
    takes for a formula. The same table gives the same bytes."""
    if Path(path).suffix == ".gz":  # by pandas it would hold the name of the temporary file
        return write_atomic(
            path, lambda file: file.write_bytes(gzip.compress(_plain_text(table).to_csv(index=False).encode(), mtime=0))
        )
    writer = table.to_parquet if Path(path).suffix == ".parquet" else _plain_text(table).to_csv
    return write_atomic(path, lambda temporary: writer(temporary, index=False))


def _plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table with no cell that a spreadsheet takes for a formula: names of slides and reasons come from anywhere."""
    text = table.select_dtypes(["object", "string"])
    return table.assign(**{str(name): text[name].replace(FORMULA, r"'\1", regex=True) for name in text})


def status_line(arms: pd.DataFrame) -> str:
    """How many arms were expected, finished, failed and not applicable.

    Args:
        arms: one row for each arm, with the column `status`.
    """
    counts = arms["status"].value_counts()
    ok, failed, absent = (int(counts.get(status, 0)) for status in ("ok", "failed", "not applicable"))
    return f"{len(arms)} arms expected: {ok} finished, {failed} failed, {absent} not applicable"
