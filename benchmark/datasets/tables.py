"""Tables beside the slides, such as labels by barcode: some columns of a CSV, TSV or Parquet file, as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.data import labels

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read_columns(path: Path, wanted: Mapping[str, str | None]) -> pd.DataFrame:
    """These columns, each value as text without blanks around it, `[n_rows, n_wanted]`. CSV and TSV may be gzipped.

    Args:
        wanted: the column for each key of the description. The table that is returned is headed by the keys.

    Raises:
        UnitBenchError: the file is missing or damaged, a key names no column, or the table lacks it.
    """
    if not path.is_file():
        raise UnitBenchError(path, "file not found", "restore it, or correct the path in the description")
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    if kind not in (*SEPARATORS, ".parquet"):
        raise UnitBenchError(path, f"a table of the kind {kind!r} is not read", "give .csv, .tsv or .parquet")
    try:
        table = _read(path, kind)
    except Exception as error:  # pandas and pyarrow raise errors of many types for a damaged file
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnitBenchError(path, f"cannot be read ({cause})", "replace it") from error
    for key, column in wanted.items():
        if column is None:
            raise UnitBenchError(path, f"`{key}` names no column", f"name one of: {', '.join(map(str, table))}")
        if column not in table:
            raise UnitBenchError(path, f"no column {column!r}, which `{key}` names", nearest(column, map(str, table)))
    return pd.DataFrame({key: table[column].map(labels.text) for key, column in wanted.items()}, dtype=object)


def _read(path: Path, kind: str) -> pd.DataFrame:
    """The table; what has no value is empty text, or missing."""
    if kind == ".parquet":
        table = pd.read_parquet(path)
        return table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    return pd.read_csv(path, sep=SEPARATORS[kind], dtype=str, keep_default_na=False, encoding="utf-8-sig")
