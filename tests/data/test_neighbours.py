"""Neighbour means: worked by hand, against scikit-learn, and what holds for any slide."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix
from sklearn.neighbors import KNeighborsRegressor

from benchmark.data import neighbours
from benchmark.data.neighbours import morans_i, neighbour_mean

LINE = np.array([[0, 0], [0, 1], [0, 3], [0, 7]], dtype=np.float32)


def test_each_spot_of_a_line_is_averaged_with_its_nearest():
    values = np.array([[1.0], [3.0], [8.0], [20.0]])
    assert neighbour_mean(values, LINE, 1).ravel().tolist() == [2, 2, 5.5, 14]


def test_no_neighbours_change_nothing():
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert np.array_equal(neighbour_mean(values, LINE, 0), values)


def test_a_slide_with_fewer_spots_is_averaged_over_all_of_them():
    values = np.array([[1.0], [3.0], [8.0], [20.0]])
    assert neighbour_mean(values, LINE, 50).ravel().tolist() == [8] * 4


def test_spots_at_one_position_each_count_themselves():
    position = np.zeros((6, 2))
    weights = neighbour_mean(np.eye(6), position, 2)
    assert (np.diag(weights) > 0).all() and np.allclose(weights.sum(axis=1), 1)


def test_scikit_learn_gives_the_same_means():
    rng = np.random.default_rng(0)
    position, values = rng.random((200, 2)), rng.random((200, 5)).astype(np.float32)
    outside = KNeighborsRegressor(n_neighbors=9).fit(position, values).predict(position)
    ours = neighbour_mean(values, position, 8)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, outside, rtol=1e-5)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 9).map(float)),
    st.integers(0, 12),
)
def test_means_stay_within_the_values_and_constants_stay_constant(position, k):
    values = np.column_stack([np.arange(len(position), dtype=float), np.full(len(position), 7.0)])
    mean = neighbour_mean(values, position, k)
    assert (mean[:, 0] >= -1e-9).all() and (mean[:, 0] <= len(position) - 1 + 1e-9).all()
    np.testing.assert_allclose(mean[:, 1], 7)


def test_morans_i_does_not_depend_on_how_many_genes_are_taken_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    position, values = rng.random((80, 2)), csr_matrix(rng.poisson(0.5, (80, 7)).astype(np.float32))
    whole = morans_i(values, position)
    monkeypatch.setattr(neighbours, "GENES_AT_ONCE", 2)
    assert (morans_i(values, position) == whole).all()
