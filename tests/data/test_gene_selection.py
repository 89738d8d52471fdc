"""Drawing genes: one by one, each with a chance in proportion to its weight, and no gene twice."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from benchmark.data.gene_selection import draw_weighted


def test_one_gene_is_drawn_with_a_chance_in_proportion_to_its_weight():
    weights = np.array([0.5, 1.0, 2.0, 4.0])
    drawn = draw_weighted(np.tile(weights, (20_000, 1)), 1, np.random.default_rng(0))
    counts = np.bincount(drawn.ravel(), minlength=4)
    assert chisquare(counts, 20_000 * weights / weights.sum()).pvalue > 1e-3


def test_two_genes_are_drawn_one_after_the_other():
    # Of weights 1, 2, 3: first a gene in proportion to all three, then one in proportion to the two that are left.
    chance = {
        (0, 1): 1 / 6 * 2 / 5 + 2 / 6 * 1 / 4,
        (0, 2): 1 / 6 * 3 / 5 + 3 / 6 * 1 / 3,
        (1, 2): 2 / 6 * 3 / 4 + 3 / 6 * 2 / 3,
    }
    assert sum(chance.values()) == pytest.approx(1)
    drawn = np.sort(draw_weighted(np.tile([1.0, 2.0, 3.0], (20_000, 1)), 2, np.random.default_rng(0)), axis=1)
    counts = [int((drawn == pair).all(axis=1).sum()) for pair in combinations(range(3), 2)]
    assert chisquare(counts, [20_000 * chance[pair] for pair in combinations(range(3), 2)]).pvalue > 1e-3


@given(
    arrays(np.float64, (5, 20), elements=st.just(0.0) | st.floats(1e-2, 100)),
    st.integers(1, 20),
    st.integers(0, 1000),
)
def test_no_gene_is_drawn_twice_and_no_zero_while_others_remain(weights, m, seed):
    drawn = draw_weighted(weights, m, np.random.default_rng(seed))
    assert drawn.shape == (5, m)
    for genes, weight in zip(drawn, weights, strict=True):
        assert len(set(genes)) == m
        assert (weight[genes] > 0).sum() == min(m, (weight > 0).sum())
