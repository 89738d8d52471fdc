"""Names of genes from a column, without versions and by a table; genes of one name are summed, and what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.datasets.genes import Genes, named

COUNTS = sp.csr_matrix(np.arange(1, 9).reshape(2, 4))
IDS = pd.Index(["ENSG00000000001.1", "ENSG00000000002.12", "ENSG00000000003.4", "RP11-34P13.7"])


def about(**values) -> Genes:
    return Genes.model_validate(values)


def table(path, rows, separator=","):
    path.write_text("".join(separator.join(row) + "\n" for row in [("id", "symbol"), *rows]))
    return {"table": path, "from": "id", "to": "symbol"}


def test_without_a_wish_nothing_changes():
    counts, genes, noted = named(COUNTS, IDS, None, None, "one.h5ad")
    assert counts is COUNTS and genes is IDS and noted == {}


def test_only_ensembl_ids_lose_their_version():
    ids = IDS.append(pd.Index(["ENSMUSG00000000001.3", "ENSG00000000004.1_PAR_Y"]))
    _, genes, _ = named(sp.csr_matrix((2, 6)), ids, None, about(strip_versions=True), "one.h5ad")
    kept = ["RP11-34P13.7", "ENSMUSG00000000001", "ENSG00000000004.1_PAR_Y"]
    assert genes.tolist() == ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003", *kept]


def test_a_column_names_genes_and_where_it_is_empty_they_keep_their_own_name():
    var = pd.DataFrame({"symbol": ["A", None, "nan", " B "]}, index=IDS)
    counts, genes, noted = named(COUNTS, IDS, var, about(column="symbol"), "one.h5ad")
    assert genes.tolist() == ["A", IDS[1], IDS[2], "B"] and (counts != COUNTS).nnz == 0
    assert noted == {"genes_without_a_name_in_the_column": 2, "genes_added_to_one_of_the_same_name": 0}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_ids_of_one_name_are_summed_and_those_of_none_stay(tmp_path, suffix):
    rows = pd.DataFrame({"id": ["g1", "g2", "g4", "g9"], "symbol": ["A", "B", "A", "C"]})
    path = tmp_path / f"symbols{suffix}"
    if suffix == ".parquet":
        rows.set_index("id").to_parquet(path)
    else:
        rows.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    wish = about(**{"table": path, "from": "id", "to": "symbol"})
    counts, genes, noted = named(COUNTS, pd.Index(["g1", "g2", "g3", "g4"]), None, wish, "one.h5ad")
    assert genes.tolist() == ["A", "B", "g3"]
    assert counts.toarray().tolist() == [[1 + 4, 2, 3], [5 + 8, 6, 7]]
    assert noted == {"genes_without_a_name_in_the_table": 1, "genes_added_to_one_of_the_same_name": 1}


def test_versions_are_stripped_before_the_table_is_asked(tmp_path):
    wish = about(strip_versions=True, **table(tmp_path / "t.csv", [("ENSG00000000002", "TP53")]))
    assert named(COUNTS, IDS, None, wish, "one.h5ad")[1][1] == "TP53"


def test_a_name_that_the_table_leaves_empty_is_none(tmp_path):
    wish = about(**table(tmp_path / "t.csv", [("g1", ""), ("g2", "B")]))
    _, genes, noted = named(COUNTS, pd.Index(["g1", "g2", "g3", "g4"]), None, wish, "one.h5ad")
    assert genes.tolist() == ["g1", "B", "g3", "g4"] and noted["genes_without_a_name_in_the_table"] == 3


@given(st.lists(st.sampled_from("ABCDE"), min_size=3, max_size=3), st.integers(0, 255))
def test_no_count_is_lost_whatever_is_summed(symbols, value):
    counts = sp.csr_matrix(np.full((2, 3), value, dtype=np.uint8))
    var = pd.DataFrame({"symbol": symbols})
    summed, genes, noted = named(counts, pd.Index(list("abc")), var, about(column="symbol"), "one.h5ad")
    assert genes.is_unique and set(genes) == set(symbols) and summed.shape == (2, len(genes))
    assert summed.sum(axis=1).ravel().tolist() == [[3 * value, 3 * value]]
    for gene, column in zip(genes, summed.toarray().T, strict=True):
        assert column.tolist() == [symbols.count(gene) * value] * 2
    assert noted["genes_added_to_one_of_the_same_name"] == 3 - len(genes)


@pytest.mark.parametrize(
    ("rows", "ids", "changes", "line"),
    [
        (
            [("g1", "A"), ("g1", "B")],
            "g1",
            {},
            "t.csv: 'g1' has two names, 'A' and 'B'; leave one row for each gene",
        ),
        (
            [("h1", "A"), ("h2", "B")],
            "g1 g2",
            {},
            "one.h5ad: no gene is in the table …t.csv: the slide has g1, g2, the table's column 'id' h1, h2; "
            "correct `genes.from`, or `strip_versions`",
        ),
        ([("g1", "A")], "g1", {"from": None}, "t.csv: `genes.from` names no column; name one of: id, symbol"),
        (
            [("g1", "A")],
            "g1",
            {"to": "symbl"},
            "t.csv: no column 'symbl', which `genes.to` names; did you mean 'symbol'?",
        ),
        (
            [],
            "ENSG00000000001.1 ENSG00000000001.2",
            {"strip_versions": True},
            "one.h5ad: genes 'ENSG00000000001.1' and 'ENSG00000000001.2' would both be 'ENSG00000000001' without "
            "version; leave out one of them, or set `strip_versions: false`",
        ),
        (
            [],
            "g1",
            {"column": "symbol"},
            "one.h5ad: no var['symbol'], which `genes.column` names; did you mean 'symbols'?",
        ),
        (
            [],
            "g1",
            {"column": "empty"},
            "one.h5ad: var['empty'] has no name of a gene; correct `genes.column`, or leave it out",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, rows, ids, changes, line):
    genes = pd.Index(ids.split())
    wish = about(**table(tmp_path / "t.csv", rows) | changes)
    var = pd.DataFrame({"symbols": "x", "empty": None}, index=genes)
    with pytest.raises(UnitBenchError) as error:
        named(sp.csr_matrix((1, len(genes))), genes, var, wish, "one.h5ad")
    before, _, after = line.partition("…")
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(before) and str(error.value).endswith(after)


def test_columns_of_no_table_are_refused():
    with pytest.raises(ValueError, match="name the table"):
        about(to="symbol")
