"""The genes that all slides have: worked by hand, and the warning that names the slide which costs most."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.data.panel import common_genes, warning
from benchmark.data.prepare import write_corpus
from tests.data.test_corpus import a_slide

panels = st.dictionaries(
    st.text("xyz", min_size=1, max_size=3), st.sets(st.sampled_from("abcdefg"), min_size=1), min_size=1
)


@given(panels)
def test_the_common_genes_are_those_of_every_slide_in_the_order_of_the_first(panels):
    ordered = {name: pd.Index(sorted(genes, reverse=True)) for name, genes in panels.items()}
    expected = set.intersection(*panels.values())
    if not expected:
        with pytest.raises(UnitBenchError, match="no gene is in every slide"):
            common_genes(ordered)
        return
    genes = common_genes(ordered)
    assert genes.tolist() == sorted(expected, reverse=True)
    assert bool(warning(ordered, genes)) == (2 * len(expected) < max(map(len, panels.values())))


def test_the_warning_names_the_slide_that_costs_most_with_the_numbers(tmp_path):
    lines = []
    slides = [a_slide("one", "abcdefgh"), a_slide("two", "abc"), a_slide("six", "abcdefg")]
    corpus = write_corpus(slides, tmp_path, {}, lines.append)
    assert lines[-1] == (
        "warning: 3 of up to 8 genes are in every slide and kept; slide two, with 3, costs most: "
        "7 would be kept without it"
    )
    assert [entry["n_genes"] for entry in corpus.record["slides"].values()] == [8, 7, 3]


def test_no_gene_in_common_shows_three_of_each_side(tmp_path):
    with pytest.raises(UnitBenchError) as caught:
        write_corpus([a_slide("one", "abcde"), a_slide("two", "vwxyz")], tmp_path, {})
    assert str(caught.value) == (
        "slide two: no gene is in every slide: it has v, w, x, those before it have a, b, c; "
        "use the same gene names in all slides"
    )
