"""scGPT's losses and neighbours: against values by hand, torch's distributions and scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from baselines.scgpt.losses import ecs, masked_mse, neighbour_cells, zero_nll
from benchmark.core.errors import UnitBenchError


def test_masked_mse_by_hand():
    predicted, target = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[3.0, 2.0, 0.0]])
    assert masked_mse(predicted, target, torch.tensor([[True, True, False]])).item() == 2.0


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_zero_nll_is_that_of_a_bernoulli_distribution(seed):
    generator = torch.Generator().manual_seed(seed)
    probability, target = torch.rand(3, 6, generator=generator), torch.randint(-1, 3, (3, 6), generator=generator)
    where = torch.rand(3, 6, generator=generator) < 0.6
    where[0, 0], probability[0, 0] = True, 0.0  # certain, and still finite
    expected = -torch.distributions.Bernoulli(probs=probability).log_prob((target > 0).float())[where].mean()
    torch.testing.assert_close(zero_nll(probability, target, where), expected, rtol=1e-4, atol=1e-5)


def test_ecs_by_hand():
    """Cosines are 0.6 between the first two, and below 0 with the third, so 0. Each pair counts twice."""
    cells = torch.tensor([[2.0, 0.0], [0.6, 0.8], [-1.0, -1.0]])
    expected = 1 - (2 * (0.6 - 0.8) ** 2 + 7 * 0.8**2) / 9
    assert ecs(cells, 0.8).item() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), k=st.integers(1, 6))
def test_neighbours_are_those_of_scikit_learn(seed, k):
    rng = np.random.default_rng(seed)
    cell, position = rng.normal(size=(9, 16)), rng.normal(size=(9, 2))
    nearest = NearestNeighbors(n_neighbors=k).fit(position).kneighbors(return_distance=False)
    mean = neighbour_cells(torch.from_numpy(cell), torch.from_numpy(position), k)
    np.testing.assert_allclose(mean, cell[nearest].mean(1))


def test_a_spot_is_not_its_own_neighbour_where_coordinates_coincide():
    cell = torch.eye(4)
    mean = neighbour_cells(cell, torch.zeros(4, 2), 3)
    torch.testing.assert_close(mean, (1 - cell) / 3)


def test_too_few_spots_for_the_neighbours_are_refused():
    with pytest.raises(UnitBenchError, match=r"neighbours: 4 wanted of 3 other spots"):
        neighbour_cells(torch.zeros(4, 16), torch.zeros(4, 2), 4)
