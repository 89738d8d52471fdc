"""The files of a prepared slide: what the safetensors library reads from them, and pages that go back to the system."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from benchmark.data import pages, stored
from tests.helpers.hand_made import slide_at

CELLS = np.argwhere(np.ones((5, 4)))


def test_the_library_of_the_format_reads_the_arrays(tmp_path):
    slide = slide_at(CELLS, name="one")
    order = np.random.default_rng(0).permutation(slide.n_obs)
    stored.write(tmp_path, "one", slide, order)
    read, expected = load_file(stored.paths(tmp_path, "one")[0]), slide.X[order]
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(read[part], getattr(expected, part))
    np.testing.assert_array_equal(read["position"], slide.obsm["position"][order])
    np.testing.assert_array_equal(read["lattice"], slide.obsm["lattice"][order])
    ours = stored.read_arrays(stored.paths(tmp_path, "one")[0])
    assert all(np.array_equal(ours[name], read[name]) and not ours[name].flags.writeable for name in read)


@given(st.permutations(range(20)).map(lambda genes: np.array(genes[:12])))
def test_counts_are_those_of_the_same_genes_after_they_are_renumbered(tmp_path_factory, gene):
    slide, folder = slide_at(CELLS, name="one"), tmp_path_factory.mktemp("renumbered")
    stored.write(folder, "one", slide)
    stored.renumber(folder, "one", gene)
    counts = stored.matrix(stored.read_arrays(stored.paths(folder, "one")[0]), 20)
    expected = np.zeros((slide.n_obs, 20))
    expected[:, gene] = slide.X.toarray()
    np.testing.assert_array_equal(counts.toarray(), expected)
    assert all((np.diff(counts.indices[a:b]) > 0).all() for a, b in zip(counts.indptr, counts.indptr[1:], strict=False))


@pytest.mark.skipif(not pages.STATUS.exists(), reason="the system does not tell what memory holds")
def test_pages_are_given_back_and_read_again(tmp_path, monkeypatch):
    values = np.arange(2**24, dtype=np.uint8)
    values.tofile(tmp_path / "large")
    mapped = pages.mapped(tmp_path / "large", "r")
    total = int(mapped.sum())

    def held() -> int:
        (line,) = (line for line in pages.STATUS.read_text().splitlines() if line.startswith("RssFile"))
        return int(line.split()[1]) * 1024

    before = held()
    monkeypatch.setattr(pages, "MOST", -pages.LIBRARIES)
    pages.give_back()
    assert before - held() > 2**23
    assert int(mapped.sum()) == total
