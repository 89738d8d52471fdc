"""The genes of all slides: their union worked by hand, the warning where few are common, and hardly any overlap."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UnitBenchError
from benchmark.data.panel import LEAST_SHARED, union, warning
from benchmark.data.prepare import write_corpus
from tests.data.test_corpus import a_slide

panels = st.dictionaries(
    st.text("xyz", min_size=1, max_size=3), st.sets(st.sampled_from("abcdefg"), min_size=1), min_size=1
)


@given(panels)
def test_the_union_has_every_gene_once_and_begins_as_the_first_panel(panels):
    ordered = {name: pd.Index(sorted(genes, reverse=True)) for name, genes in panels.items()}
    seen = set()
    for genes in panels.values():
        if seen and len(seen & genes) < len(genes) / 2:
            with pytest.raises(UnitBenchError, match="of its"):
                union(ordered)
            return
        seen |= genes
    genes = union(ordered)
    assert sorted(genes) == sorted(seen)
    first = next(iter(ordered.values()))
    assert genes[: len(first)].equals(first)
    n_common = len(set.intersection(*panels.values()))
    assert bool(warning(ordered)) == (2 * n_common < max(map(len, panels.values())))


def test_the_warning_has_the_numbers_and_the_slide_with_the_fewest(tmp_path):
    lines = []
    slides = [a_slide("one", "abcdefgh"), a_slide("two", "abc"), a_slide("six", "abcdefg")]
    corpus = write_corpus(slides, tmp_path, {}, lines.append)
    assert lines[-1] == (
        "warning: 3 genes are in every slide, of up to 8 in a slide; the fewest, 3, are in slide two. "
        "Methods that need the same genes in all slides have those only"
    )
    assert [entry["n_genes"] for entry in corpus.record["slides"].values()] == [8, 7, 3]


def test_too_small_an_overlap_shows_three_of_each_side(tmp_path):
    with pytest.raises(UnitBenchError) as caught:
        write_corpus([a_slide("one", "abcde"), a_slide("two", "avwxyz")], tmp_path, {})
    assert str(caught.value) == (
        "slide two: 1 of its 6 genes are in the slides before it: it has v, w, x, they have a, b, c; "
        "use the same gene names in all slides: symbols or Ensembl ids"
    )


def test_ten_shared_genes_are_enough_for_large_panels():
    first, own = [f"g{i}" for i in range(300)], [f"h{i}" for i in range(240)]
    assert len(union({"a": pd.Index(first), "b": pd.Index(first[:LEAST_SHARED] + own)})) == 540
    with pytest.raises(UnitBenchError, match="9 of its 249 genes"):
        union({"a": pd.Index(first), "b": pd.Index(first[:9] + own)})
