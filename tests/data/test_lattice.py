"""Lattices keep physical distances, and lose no spot."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from benchmark.core.errors import UnitBenchError
from benchmark.data.lattice import binned, hexagonal, square
from tests.helpers.real import DATA, needs_data

ROWS, COLUMNS = 78, 64  # of a Visium capture area


def visium() -> tuple[np.ndarray, np.ndarray]:
    """array_row and array_col of every spot of a capture area."""
    row, column = (index.ravel() for index in np.mgrid[:ROWS, :COLUMNS])
    return row, 2 * column + row % 2


def test_every_inner_hexagon_has_six_neighbours_at_distance_one():
    row, column = visium()
    laid = hexagonal(row, column, 100, "µm", (ROWS, COLUMNS))
    tree = cKDTree(laid.position)
    inner = (row > 0) & (row < ROWS - 1) & (column > 1) & (column < 2 * COLUMNS - 2)
    near = [len(spots) - 1 for spots in tree.query_ball_point(laid.position[inner], 1.001)]
    assert set(near) == {6}
    assert tree.query(laid.position, k=2)[0][:, 1] == pytest.approx(1, abs=1e-4)


def test_hexagons_fill_the_lattice_without_holes_or_collisions():
    laid = hexagonal(*visium(), 100, "µm", (ROWS, COLUMNS))
    assert len(np.unique(laid.cell, axis=0)) == ROWS * COLUMNS == laid.cell.prod(axis=1).size
    assert laid.record == {
        "kind": "hex",
        "pitch": 100.0,
        "pitch_unit": "µm",
        "shape": [ROWS, COLUMNS],
        "n_spots": ROWS * COLUMNS,
        "n_shared": 0,
        "n_outside": 0,
    }


@settings(deadline=None)
@given(first_row=st.integers(0, 40), first_column=st.integers(0, 40))
def test_a_piece_of_hexagonal_tissue_keeps_its_geometry(first_row, first_column):
    row, column = visium()
    cut = (row >= first_row) & (row < first_row + 6) & (column >= first_column) & (column < first_column + 8)
    whole = hexagonal(row, column, 100, "µm")
    piece = hexagonal(row[cut], column[cut], 100, "µm")
    np.testing.assert_allclose(pdist(piece.position), pdist(whole.position[cut]), rtol=1e-5)
    assert len(np.unique(piece.cell, axis=0)) == cut.sum()
    assert piece.cell.min() >= 0 and piece.cell.min(axis=0).max() <= 1
    # The same rows are shifted by half a pitch as before, so cells keep their neighbours.
    assert np.array_equal(piece.cell[:, 0] % 2, row[cut] % 2)


def test_indices_that_are_not_hexagonal_are_refused():
    with pytest.raises(UnitBenchError, match=r"row \+ column is odd for some"):
        hexagonal(np.array([0, 0]), np.array([0, 1]), 100, "µm")


def test_square_indices_are_rounded_and_counted_from_zero():
    laid = square(np.array([7.02, 8.98]), np.array([3.0, 5.4]), 200, "µm")
    assert laid.cell.tolist() == [[0, 0], [2, 2]]
    assert laid.position.tolist() == [[0, 0], [2, 2]]
    assert laid.record["shape"] == [3, 3]


def test_spots_that_share_a_cell_are_kept_and_counted():
    laid = square(np.array([0, 0, 0, 1]), np.array([0, 0.1, -0.2, 1]), 1, "spot")
    assert laid.cell.tolist() == [[0, 0], [0, 0], [0, 0], [1, 1]]
    assert (laid.record["n_spots"], laid.record["n_shared"]) == (4, 3)


def test_spots_outside_the_stated_shape_are_kept_and_counted():
    laid = square(np.array([0, 1, 2, -1]), np.array([0, 1, 0, 0]), 1, "spot", shape=(2, 2))
    assert laid.record["n_outside"] == 2
    assert laid.cell.tolist() == [[1, 0], [2, 1], [3, 0], [0, 0]]
    assert laid.record["shape"] == [4, 2]


def test_a_stated_shape_keeps_the_origin_of_the_array():
    laid = square(np.array([3, 4]), np.array([5, 5]), 1, "spot", shape=(33, 35))
    assert laid.cell.tolist() == [[3, 5], [4, 5]]
    assert laid.record["shape"] == [33, 35]


@settings(deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.floats(-500, 500)),
    st.floats(0.5, 50),
)
def test_binning_keeps_every_cell_and_every_distance(point, pitch):
    y, x = point.T
    laid = binned(y, x, pitch, "µm")
    assert len(laid.cell) == len(point) == laid.record["n_spots"]
    np.testing.assert_allclose(pdist(laid.position) * pitch, pdist(point), atol=1e-2)
    assert (laid.cell >= 0).all() and laid.cell.min(axis=0).tolist() == [0, 0]
    assert (np.abs(laid.position - laid.cell - 0.5) <= 0.5 + 1e-3).all()


def test_binning_agrees_with_numpys_histogram():
    y, x = np.random.default_rng(0).uniform(0, 30, size=(2, 500))
    laid = binned(y, x, 3, "µm", shape=(10, 10))
    counts, _, _ = np.histogram2d(y, x, bins=10, range=[(0, 30), (0, 30)])
    ours = np.zeros((10, 10))
    np.add.at(ours, tuple(laid.cell.T), 1)
    assert np.array_equal(ours, counts)
    assert laid.record["n_shared"] == counts[counts > 1].sum()


def test_no_spots_are_refused():
    with pytest.raises(UnitBenchError, match="0 spots"):
        square(np.array([]), np.array([]), 1, "spot")


def test_a_pitch_that_is_far_too_small_is_refused_with_the_numbers():
    row, column = (index.ravel() for index in np.mgrid[:40, :85])
    with pytest.raises(UnitBenchError) as caught:
        binned(row * 100.0, column * 100.0, 0.01, "µm")
    assert str(caught.value) == (
        "lattice: 390,001 × 840,001 cells, 3,400 of them filled, for 3,400 spots; the pitch is 0.01 µm, and neighbours "
        "are 100 µm apart; correct the pitch, or the unit of the positions"
    )


@pytest.mark.parametrize("far", [1e9, 1e30, -1e300])
def test_one_spot_far_off_is_named(far):
    row, column = (index.ravel().astype(float) for index in np.mgrid[:40, :85])
    row[7] = far
    for lay in (square, binned):
        with pytest.raises(UnitBenchError, match=r"for 3,400 spots; 1 spot\(s\) lie far off, such as number 8 at "):
            lay(row, column, 1, "spot")


def test_a_pitch_that_is_far_too_large_is_refused():
    row, column = (index.ravel() for index in np.mgrid[:40, :85])
    with pytest.raises(
        UnitBenchError, match="1 × 1 cells, 1 of them filled, for 3,400 spots; the pitch is 1000 mm, and"
    ):
        binned(row, column, 1000, "mm")


@settings(deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(-1e12, 1e12)),
    st.floats(1e-6, 1e6),
)
def test_no_lattice_is_larger_than_its_spots_can_fill(point, pitch):
    try:
        laid = binned(*point.T, pitch, "µm")
    except UnitBenchError as error:
        assert "of them filled" in str(error) and "\n" not in str(error)
        return
    assert laid.record["shape"][0] * laid.record["shape"][1] <= 10_000_000
    assert len(np.unique(laid.cell, axis=0)) * 30 >= len(point)


@needs_data
def test_hexagonal_positions_are_proportional_to_the_microscopes_pixels():
    data = ad.read_h5ad(DATA / "dlpfc" / "151673.h5ad")
    laid = hexagonal(data.obs["array_row"], data.obs["array_col"], 100, "µm")
    some = np.random.default_rng(0).choice(data.n_obs, size=300, replace=False)
    ratio = pdist(data.obsm["spatial"][some]) / pdist(laid.position[some])
    assert ratio.std() / ratio.mean() < 0.01
