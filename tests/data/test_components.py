"""Genes scaled within a slide, chosen by Moran's I, and their principal components."""

from typing import get_args

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from benchmark.data.components import RULES, Genes, components, moments_within, scale
from benchmark.data.gene_selection import random_genes, top_dispersion, top_moran, top_variance
from benchmark.data.neighbours import morans_i
from benchmark.data.normalisation import lognorm

# Up to 9.25, as log1p of counts per 10,000; two values that differ do so by far more than float32 can tell apart.
values = arrays(
    np.float32,
    st.tuples(st.integers(2, 30), st.integers(1, 5)),
    elements=st.integers(0, 9 * 512).map(lambda k: np.float32(k / 512)),
)


def slide_z(values, n_parts=1):
    parts = map(sp.csr_matrix, np.array_split(values, n_parts))
    return scale(values, *moments_within(parts))


@given(values)
def test_a_gene_is_scaled_as_scikit_learn_does_within_the_slide(values):
    constant = (values == values[0]).all(axis=0)
    expected = np.clip(StandardScaler().fit_transform(values.astype(np.float64)), -10, 10)
    expected[:, constant] = 0  # one that was not measured, say
    np.testing.assert_allclose(slide_z(values), expected, atol=2e-3)
    np.testing.assert_allclose(slide_z(values, 2), expected, atol=2e-3)  # as a slide too large to be read at once


def test_a_value_far_off_is_cut_at_ten_deviations():
    values = np.zeros((1001, 1), np.float32)
    values[0] = 1  # (1 - 1/1001) / sqrt(1/1001 × 1000/1001) = 31.6 deviations
    assert slide_z(values).max() == 10


def test_depth_and_batch_of_a_slide_are_scaled_away():
    values = np.random.default_rng(0).gamma(2, size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(slide_z(values), slide_z(3 * values + 1), atol=1e-4)


def test_genes_by_moran_are_those_of_the_highest_mean_over_slides(tissue):
    each = [morans_i(lognorm(slide.X), slide.obsm["position"]) for slide in tissue]
    assert top_moran(tissue, 7).tolist() == np.argsort(-np.mean(each, axis=0), kind="stable")[:7].tolist()


def test_scores_of_the_training_spots_are_those_of_an_eigendecomposition(tissue):
    found = components(tissue, 5, 20, "slide_z", "moran")
    values = np.concatenate([slide_z(lognorm(slide.X)[:, found.scaling.genes].toarray()) for slide in tissue])
    eigenvalues = np.linalg.eigvalsh(np.cov(values.T))[::-1][:5]
    scores = np.concatenate([found.scores(slide) for slide in tissue])
    np.testing.assert_allclose(np.cov(scores.T), np.diag(eigenvalues), atol=1e-3)


def test_each_rule_chooses_the_genes_of_its_name(tissue):
    of = {"moran": top_moran, "hvg": top_dispersion, "variance": top_variance, "random": random_genes}
    chosen = {rule: components(tissue, 5, 10, "slide_z", rule).scaling.genes.tolist() for rule in get_args(Genes)}
    assert chosen == {rule: choose(tissue, 10).tolist() for rule, choose in of.items()} and of == RULES
    assert len({frozenset(genes) for genes in chosen.values()}) == 4


def test_fewer_random_genes_are_a_part_of_more_and_all_are_drawn_once(tissue):
    assert random_genes(tissue, 9).tolist() == random_genes(tissue, 20)[:9].tolist()
    assert sorted(random_genes(tissue, 1000)) == list(range(40))
