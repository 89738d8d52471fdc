"""The schema of a slide: each violation is an error of one line that names the file."""

import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.core.errors import UnitBenchError
from benchmark.data.lattice import square
from benchmark.data.normalisation import library_size, lognorm
from benchmark.data.slide import check_slide, make_slide


def a_slide(counts=None, genes=None, spots=None, label=None):
    counts = np.arange(12).reshape(4, 3) if counts is None else np.asarray(counts)
    row, column = np.divmod(np.arange(len(counts)), 2)
    laid = square(row, column, 100, "µm")
    return make_slide(
        counts,
        genes or [f"g{i}" for i in range(counts.shape[1])],
        spots or [f"s{i}" for i in range(len(counts))],
        name="one",
        donor="A",
        position=laid.position,
        lattice=laid.cell,
        lattice_record=laid.record,
        label=label,
    )


def test_a_slide_in_the_schema_passes_unchanged():
    slide = a_slide(label=["tumour", None, "stroma", np.nan])
    assert check_slide(slide, "one.h5ad") is slide
    assert slide.X.format == "csr"
    assert slide.X.dtype == np.float32
    assert slide.obs["label"].isna().tolist() == [False, True, False, True]
    assert slide.uns["group"] == "A"  # the donor, since no group is given


def without(key, table):
    def change(slide):
        del getattr(slide, table)[key]

    return change


def with_position(row, value):
    def change(slide):
        slide.obsm["position"][row] = value

    return change


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize(
    ("wrong", "change", "message"),
    [
        ({"counts": [[1, 2]]}, None, "1 spot"),
        ({"counts": np.zeros((4, 0))}, None, "no genes"),
        ({"genes": ["a", "b", "a"]}, None, "duplicate gene 'a'"),
        ({"spots": ["p", "q", "q", "r"]}, None, "duplicate spot 'q'"),
        ({"counts": [[1, -2], [0, 1]]}, None, "negative counts"),
        ({"counts": [[1, np.nan], [0, 1]]}, None, "NaN or infinite counts"),
        ({"counts": [[1, np.inf], [0, 1]]}, None, "NaN or infinite counts"),
        ({"counts": [[1, 0.5], [0, 1]]}, None, "not whole numbers"),
        ({}, without("position", "obsm"), "positions are missing"),
        ({}, without("lattice", "obsm"), "positions are missing"),
        ({}, with_position(2, np.nan), "missing values"),
        ({}, without("donor", "uns"), r"uns\['donor'\] is missing"),
    ],
)
def test_each_violation_is_an_error_of_one_line_that_names_the_file(wrong, change, message):
    slide = a_slide(**wrong)
    if change:
        change(slide)
    with pytest.raises(UnitBenchError, match=message) as caught:
        check_slide(slide, "data/one.h5ad")
    assert str(caught.value).startswith("data/one.h5ad: ") and "\n" not in str(caught.value)


def test_negative_lattice_cells_are_refused():
    slide = a_slide()
    slide.obsm["lattice"][0] = -1
    with pytest.raises(UnitBenchError, match="negative lattice index"):
        check_slide(slide, "one.h5ad")


@pytest.mark.filterwarnings("ignore:Some cells have zero counts")
@settings(deadline=None, max_examples=30)
@given(arrays(np.int64, (5, 4), elements=st.integers(0, 200)))
def test_lognorm_agrees_with_scanpy_and_leaves_the_counts_alone(counts):
    slide = a_slide(counts)
    ours = lognorm(slide.X)
    assert np.array_equal(slide.X.toarray(), counts)
    sc.pp.normalize_total(slide, target_sum=1e4)
    sc.pp.log1p(slide)
    np.testing.assert_allclose(ours.toarray(), slide.X.toarray(), rtol=1e-5)


def test_an_empty_spot_has_library_size_one_and_stays_zero():
    counts = sp.csr_matrix([[0, 0], [3, 1]], dtype=np.float32)
    assert library_size(counts).tolist() == [1, 4]
    assert lognorm(counts).toarray()[0].tolist() == [0, 0]
