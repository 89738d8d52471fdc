"""Files of 10x Genomics: the matrix of counts, the tables of positions that go with it, the image and its scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json
from benchmark.data.image import rgb
from benchmark.data.labels import text

if TYPE_CHECKING:
    import anndata as ad

GENE = "Gene Expression"  # of `feature_type`; all else is a control, a protein or an unused codeword
SAMPLE = "give the folder of one sample, or correct `folder` and `slides`"
ONE_RUN = "give both files of one run"
RESTORE = "restore the file of the run"


def find(folder: Path, *names: str, remedy: str = SAMPLE) -> Path:
    """The first of these files or folders that is there. A name may follow the sample's: `<sample>_<name>`.

    Raises:
        UnitBenchError: there is none, or there are several of one name.
    """
    there = sorted(path for path in folder.glob("*") if path.name[0] != ".")
    for name in names:
        found = [path for path in there if path.name == name] or [p for p in there if p.name.endswith(f"_{name}")]
        if len(found) > 1:
            both = " and ".join(path.name for path in found[:2])
            raise UnitBenchError(folder, f"both {both} are there", "give each sample a folder, and name it in `slides`")
        if found:
            return found[0]
    has = ", ".join(path.name for path in there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
    cause = f"no {' or '.join(names)}; it has {has or 'nothing'}" if folder.is_dir() else "no such folder"
    raise UnitBenchError(folder, cause, remedy)


def read_matrix(path: Path) -> tuple[ad.AnnData, dict[str, int]]:
    """The genes of a matrix and how much of what else was left out. var: `symbols`; its index: the genes' ids.

    Args:
        path: an HDF5 file, or a folder with matrix.mtx.gz, barcodes.tsv.gz and features.tsv.gz.

    Raises:
        UnitBenchError: it is damaged, or has no gene.
    """
    import scanpy  # slow to import

    try:
        if path.is_dir():
            data = scanpy.read_10x_mtx(path, var_names="gene_ids", gex_only=False)
            ids, symbols = data.var_names, data.var["gene_symbols"]
        else:
            _check_matrix(path)
            data = scanpy.read_10x_h5(path, gex_only=False)
            ids, symbols = data.var["gene_ids"], data.var_names
    except UnitBenchError:
        raise
    except Exception as error:  # scanpy, h5py and pandas raise errors of many types for a damaged file
        raise UnitBenchError(path, f"cannot be read ({said(error)})", "give a matrix as 10x writes it") from error
    kind = data.var.get("feature_types", pd.Series(GENE, range(data.n_vars))).to_numpy(dtype=str)  # old files: no kinds
    data.var = pd.DataFrame({"symbols": np.asarray(symbols, str)}, index=np.asarray(ids, str))
    gene = kind == GENE
    if not gene.any():
        has = ", ".join(f"{n} of the type {name!r}" for name, n in Counter(kind.tolist()).most_common(3)) or "none"
        raise UnitBenchError(path, f"no feature of the type {GENE!r}; it has {has}", "give the matrix of the genes")
    noted = {"features_that_are_no_genes": int((~gene).sum()), "counts_of_features_that_are_no_genes": 0}
    if not gene.all():
        noted["counts_of_features_that_are_no_genes"] = int(data.X[:, ~gene].sum())
    return data[:, gene].copy(), noted


def _check_matrix(path: Path) -> None:
    """Raises UnitBenchError: the file has no matrix of 10x. h5py has errors of its own for a damaged one."""
    with h5py.File(path, "r") as file:
        if "matrix" not in file:
            cause = f"no matrix of 10x: it has {', '.join(file) or 'nothing'}"
            raise UnitBenchError(path, cause, "give a matrix as 10x writes it")


def read_rows(path: Path, columns: list[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Numbers of a table, CSV or Parquet, by barcode, `[n_rows, n_columns]`; NaN where there is none.

    Args:
        columns: the first holds the barcodes. A CSV file without a line of names has these columns, in this order.
        optional: further columns, read where they are there.

    Raises:
        UnitBenchError: it is damaged, a column is not there, or a barcode has two rows.
    """
    try:
        if path.suffix == ".parquet":
            rows = pd.read_parquet(path).reset_index()  # the barcodes may be its index
        else:
            rows = pd.read_csv(path, dtype={columns[0]: str}, encoding="utf-8-sig")
            if str(rows.columns[1]).isdigit():  # a number is no name: the first line is a row
                rows = pd.read_csv(path, header=None, names=columns, dtype={columns[0]: str})
    except Exception as error:  # pandas and pyarrow raise errors of many types for a damaged file
        raise UnitBenchError(path, f"cannot be read ({said(error)})", "replace it") from error
    if lost := [column for column in columns if column not in rows]:
        has = ", ".join(map(str, rows)) or "none"
        raise UnitBenchError(path, f"no column {lost[0]!r}; it has {has}", "give the table as 10x writes it")
    names = pd.Index(rows[columns[0]].map(text))
    if not names.is_unique:
        cause = f"{columns[0]} {names[names.duplicated()][0]!r} has two rows"
        raise UnitBenchError(path, cause, "keep one of them")
    rows = rows[[*columns[1:], *(column for column in optional if column in rows)]]
    return rows.apply(pd.to_numeric, errors="coerce").set_axis(names)


def of_barcodes(
    rows: pd.DataFrame, barcodes: pd.Index, path: Path, matrix: Path, remedy: str = ONE_RUN
) -> pd.DataFrame:
    """The row of each barcode of the matrix, in its order.

    Raises:
        UnitBenchError: a barcode has no row, or a row lacks a number.
    """
    if len(lost := barcodes[~barcodes.isin(rows.index)]):
        cause = (
            f"positions are missing: {len(lost):,} of {len(barcodes):,} spots of {matrix.name} have no row, "
            f"such as {_examples(lost)}; rows are such as {_examples(rows.index)}"
        )
        raise UnitBenchError(path, cause, remedy)
    rows = rows.loc[barcodes]
    for column in rows:
        if len(wrong := rows.index[~np.isfinite(rows[column].to_numpy(float))]):
            cause = f"{len(wrong):,} row(s) have no number in {column}, such as {_examples(wrong)}"
            raise UnitBenchError(path, cause, "complete the table")
    return rows


def said(error: Exception) -> str:
    """The first line of what a library says of a file."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _examples(names: pd.Index) -> str:
    """Up to three names, for a message."""
    return ", ".join(map(repr, names[:3])) or "none"


def read_image(path: Path) -> np.ndarray:
    """A picture as uint8 `[h, w, 3]`.

    Raises:
        UnitBenchError: it is damaged or enormous.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            return rgb(np.asarray(file), path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnitBenchError(path, f"cannot be read ({error})", "replace the file") from None


def scale_factor(path: Path, key: str) -> float:
    """A number above 0 in a file scalefactors_json.json.

    Raises:
        UnitBenchError: the file is damaged, or lacks it.
    """
    try:
        value = read_json(path, dict).get(key)
    except UnitBenchError as error:
        raise UnitBenchError(path, error.cause, RESTORE) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise UnitBenchError(path, f"{key} is {value!r}, no number above 0", RESTORE)
    return float(value)
