"""Channel rules: each chooses the genes that it promises, from the spots that it may look at."""

import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
from scipy.stats import chisquare

from benchmark.core import registry
from benchmark.data.gene_selection import spatial_variation
from benchmark.data.neighbours import morans_i
from benchmark.data.normalisation import lognorm
from benchmark.units.expression import field, padded_rows

RULES = sorted(registry.plugins("channels"))
by_rule = pytest.mark.parametrize("name", RULES)


def chosen(name, tissue, member, m=10, seed=0, hidden=None):
    rule = registry.make("channels", name, {}).fit(tissue, m)
    slide = field(tissue[tissue.names[0]], hidden=hidden)
    return rule.choose(slide, spots_of(member & slide.visible), m, np.random.default_rng(seed))


def spots_of(member):
    """The spots of each crop, padded with -1, from which of them it holds, bool `[n, n_spots]`."""
    return padded_rows(*np.nonzero(member), len(member))


def some_crops(tissue, n=6):
    at = tissue[tissue.names[0]].obsm["lattice"]
    return np.stack([((at >= i) & (at < i + 5)).all(axis=1) for i in range(n)])


def test_the_rules_of_the_paper_are_registered():
    assert {"variance", "uniform", "top_variance", "slide_hvg", "corpus_hvg", "moran"} <= set(RULES)


@by_rule
def test_a_rule_chooses_distinct_genes_and_repeats(tissue, name):
    member = some_crops(tissue)
    genes = chosen(name, tissue, member)
    assert genes.shape in ((1, 10), (6, 10)) and genes.dtype == np.int64
    assert all(len(set(row)) == 10 for row in genes)
    np.testing.assert_array_equal(genes, chosen(name, tissue, member))


@by_rule
def test_hidden_spots_choose_no_genes(tissue, name):
    slide = tissue[tissue.names[0]]
    hidden = (slide.obsm["lattice"] < 4).all(axis=1)
    member = some_crops(tissue)
    genes = chosen(name, tissue, member, hidden=hidden)
    counts = slide.X.toarray()
    counts[hidden] = counts[hidden][:, ::-1] * 9
    altered = slide.copy()
    altered.X = sp.csr_matrix(counts)
    other = field(altered, hidden=hidden)
    rule = registry.make("channels", name, {}).fit(tissue, 10)
    np.testing.assert_array_equal(
        rule.choose(other, spots_of(member & other.visible), 10, np.random.default_rng(0)), genes
    )


def test_uniform_gives_every_gene_the_same_chance(tissue):
    member = np.ones((4000, tissue[tissue.names[0]].n_obs), dtype=bool)
    counts = np.bincount(chosen("uniform", tissue, member).ravel(), minlength=40)
    assert chisquare(counts).pvalue > 1e-3


def test_top_variance_is_that_of_numpy(tissue):
    member = some_crops(tissue)
    values = lognorm(tissue[tissue.names[0]].X).toarray()
    for row, genes in zip(member, chosen("top_variance", tissue, member), strict=True):
        assert set(genes) == set(np.argsort(-values[row].var(axis=0))[:10])


def test_the_variable_genes_of_a_slide_are_those_of_scanpy(tissue):
    slide = tissue[tissue.names[0]].copy()
    genes = chosen("slide_hvg", tissue, np.ones((1, slide.n_obs), dtype=bool))[0]
    slide.X = lognorm(slide.X)
    sc.pp.highly_variable_genes(slide, flavor="seurat", n_top_genes=10)
    score = slide.var["dispersions_norm"].to_numpy()
    np.testing.assert_allclose(score[genes], np.sort(score)[::-1][:10], rtol=1e-4)  # ties may come in either order


def test_morans_i_by_hand():
    # Two pairs of spots, each the other's nearest: pairs that agree give 1, pairs that are opposed -1.
    pairs = np.array([[0.0, 0], [0, 1], [0, 3], [0, 4]])
    values = np.array([[1.0, 1, 5], [1, -1, 5], [-1, 1, 5], [-1, -1, 5]])
    np.testing.assert_allclose(morans_i(sp.csr_matrix(values), pairs, k=1), [1, -1, 0], atol=1e-6)
    # If all others are equally near, it is -1 / (n - 1) whatever the values: a spot is not its own neighbour.
    together = np.zeros((5, 2))
    noise = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(morans_i(sp.csr_matrix(noise), together, k=4), -0.25, atol=1e-6)


def test_spatial_variation_finds_the_genes_of_the_domains(tissue):
    """Once the spots of every slide are shuffled, no gene varies in space."""
    shuffled = [
        morans_i(lognorm(slide.X)[np.random.default_rng(0).permutation(slide.n_obs)], slide.obsm["position"])
        for slide in tissue
    ]
    assert spatial_variation(tissue).max() > 2 * np.abs(np.mean(shuffled, axis=0)).max()
