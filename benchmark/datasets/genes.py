"""Names of genes as a description wants them: from a column of var, without versions, or by a table of ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from pydantic import Field, model_validator

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.typed_values import Frozen
from benchmark.data import labels
from benchmark.data.names import is_missing
from benchmark.datasets.tables import read_columns

VERSIONED = r"^(ENS[A-Z]*G\d{11})\.\d+$"  # an Ensembl id of a gene; names such as RP11-34P13.7 have no version


class Genes(Frozen):
    """How genes are named: by `column`, then without versions, then by `table`; each is optional."""

    column: str | None = Field(default=None, description="Column of var with the names. Null: the index of var.")
    strip_versions: bool = Field(default=False, description="Ensembl ids lose their version: ENSG00000141510.12.")
    table: Path | None = Field(
        default=None, description="A CSV, TSV or Parquet file: its path from the folder of the description."
    )
    from_: str | None = Field(default=None, alias="from", description="Its column of ids, or whatever the genes have.")
    to: str | None = Field(default=None, description="Its column of names.")

    @model_validator(mode="after")
    def _with_table(self) -> Genes:
        if self.table is None and (self.from_ or self.to):
            raise ValueError("`from` and `to` are columns of `table`: name the table")
        return self


def named(
    counts: sp.csr_matrix, genes: pd.Index, var: pd.DataFrame | None, about: Genes | None, where: object
) -> tuple[sp.csr_matrix, pd.Index, dict[str, int]]:
    """The counts, the names of their genes, and how many of what is to note in `uns["join"]`.

    A gene for which the column or the table has no name keeps its own. Genes that get one name become one gene, at the
    place of the first, whose counts are their sums.

    Args:
        counts: raw counts, `[n_spots, n_genes]`.
        genes: the genes' own names, `[n_genes]`.
        var: a row for each gene in the same order, with the column that `about` names.
        about: None: the names stay.
        where: the file of the slide, for messages.

    Raises:
        UnitBenchError: a column is not there, ids would be the same without version, or the table is damaged, has two
            names for a gene of the slide, or has none of the genes.
    """
    if about is None or (about.column is None and not genes.is_unique):  # `check_slide` refuses duplicates
        return counts, genes, {}
    names, noted = pd.Series(np.asarray(genes, dtype=object)).map(labels.text), {}
    if about.column is not None:
        found = _column(var, about.column, where)
        noted["genes_without_a_name_in_the_column"] = int(found.isna().sum())
        names = found.fillna(names)
    if about.strip_versions:
        names = _without_versions(names, where)
    if about.table is not None:
        found = _translated(names, about, where)
        noted["genes_without_a_name_in_the_table"] = int(found.isna().sum())
        names = found.fillna(names)
    if about.column is None and about.table is None:
        return counts, pd.Index(names), noted
    code, distinct = pd.factorize(names)
    noted["genes_added_to_one_of_the_same_name"] = len(names) - len(distinct)
    return _summed(counts, code, len(distinct)), pd.Index(distinct), noted


def _column(var: pd.DataFrame | None, column: str, where: object) -> pd.Series:
    """The names in a column of var, `[n_genes]`; None where there is none."""
    if var is None or column not in var:
        known = [] if var is None else [str(name) for name in var]
        raise UnitBenchError(where, f"no var[{column!r}], which `genes.column` names", nearest(column, known))
    names = pd.Series(np.asarray(var[column], dtype=object)).map(_name)
    if names.isna().all():
        raise UnitBenchError(where, f"var[{column!r}] has no name of a gene", "correct `genes.column`, or leave it out")
    return names


def _name(value: object) -> str | None:
    return None if is_missing(name := labels.text(value)) else name


def _without_versions(names: pd.Series, where: object) -> pd.Series:
    """Raises UnitBenchError: two names differ in their version alone."""
    bare = names.str.replace(VERSIONED, r"\1", regex=True)
    distinct = ~names.duplicated()
    if (twice := bare[distinct].duplicated(keep=False)).any():
        same = bare[distinct][twice].iloc[0]
        first, second = names[distinct & (bare == same)].iloc[:2]
        cause = f"genes {first!r} and {second!r} would both be {same!r} without version"
        raise UnitBenchError(where, cause, "leave out one of them, or set `strip_versions: false`")
    return bare


def _translated(names: pd.Series, about: Genes, where: object) -> pd.Series:
    """The name of each gene by the table, `[n_genes]`; None where there is none."""
    path = Path(str(about.table))
    table = read_columns(path, {"genes.from": about.from_, "genes.to": about.to}).drop_duplicates()
    ids, to = table["genes.from"], table["genes.to"].map(_name)
    mine = to.notna() & ids.isin(set(names))
    if (twice := ids[mine].duplicated(keep=False)).any():
        gene = ids[mine][twice].iloc[0]
        first, second = to[mine & (ids == gene)].iloc[:2]
        raise UnitBenchError(path, f"{gene!r} has two names, {first!r} and {second!r}", "leave one row for each gene")
    if not mine.any():
        theirs, here = (", ".join(some.drop_duplicates().iloc[:3]) or "none" for some in (ids, names))
        cause = f"no gene is in the table {path}: the slide has {here}, the table's column {about.from_!r} {theirs}"
        raise UnitBenchError(where, cause, "correct `genes.from`, or `strip_versions`")
    return names.map(dict(zip(ids[mine], to[mine], strict=True)))


def _summed(counts: sp.csr_matrix, code: np.ndarray, n_names: int) -> sp.csr_matrix:
    """The sums of the columns of one code, `[n_spots, n_names]`.

    Args:
        code: of each column, `[n_genes]`.
    """
    if n_names == len(code):
        return counts
    into = sp.csr_matrix((np.ones(len(code), np.float32), (np.arange(len(code)), code)), shape=(len(code), n_names))
    return sp.csr_matrix(counts, dtype=np.float32) @ into
