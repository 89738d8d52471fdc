"""Channel rules: each chooses the genes that it says, from the spots that it may look at."""

import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
from scipy.stats import chisquare

from benchmark import registry
from benchmark.channels import spatial_variation
from benchmark.normalise import lognorm
from benchmark.spatial import morans_i
from benchmark.units.expression import field

RULES = sorted(registry.plugins("channels"))
by_rule = pytest.mark.parametrize("name", RULES)


def chosen(name, tissue, member, m=10, seed=0, hidden=None):
    rule = registry.make("channels", name, {}).fit(tissue, m)
    its = field(tissue[tissue.names[0]], hidden=hidden)
    return rule.choose(its, member & its.visible, m, np.random.default_rng(seed))


def some_crops(tissue, n=6):
    at = tissue[tissue.names[0]].obsm["lattice"]
    return np.stack([((at >= i) & (at < i + 5)).all(axis=1) for i in range(n)])


def test_the_rules_of_the_paper_are_there():
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
    its = field(altered, hidden=hidden)
    rule = registry.make("channels", name, {}).fit(tissue, 10)
    np.testing.assert_array_equal(rule.choose(its, member & its.visible, 10, np.random.default_rng(0)), genes)


def test_uniform_gives_every_gene_the_same_chance(tissue):
    member = np.ones((4000, tissue[tissue.names[0]].n_obs), dtype=bool)
    counts = np.bincount(chosen("uniform", tissue, member).ravel(), minlength=40)
    assert chisquare(counts).pvalue > 1e-3


def test_top_variance_is_numpys(tissue):
    member = some_crops(tissue)
    values = lognorm(tissue[tissue.names[0]].X).toarray()
    for row, genes in zip(member, chosen("top_variance", tissue, member), strict=True):
        assert set(genes) == set(np.argsort(-values[row].var(axis=0))[:10])


def test_the_slides_own_variable_genes_are_scanpys(tissue):
    slide = tissue[tissue.names[0]].copy()
    genes = chosen("slide_hvg", tissue, np.ones((1, slide.n_obs), dtype=bool))[0]
    slide.X = lognorm(slide.X)
    sc.pp.highly_variable_genes(slide, flavor="seurat", n_top_genes=10)
    score = slide.var["dispersions_norm"].to_numpy()
    np.testing.assert_allclose(score[genes], np.sort(score)[::-1][:10], rtol=1e-4)  # of ties either may come


def test_morans_i_is_scanpys():
    rng = np.random.default_rng(0)
    place = np.argwhere(np.ones((9, 9))) + rng.normal(0, 0.01, (81, 2))
    smooth = np.sin(place[:, :1] / 3)
    values = np.concatenate([smooth, rng.normal(size=(81, 4)), np.ones((81, 1))], axis=1)
    graph = sc.AnnData(place)
    sc.pp.neighbors(graph, n_neighbors=7, use_rep="X", knn=True, method="gauss")
    weights = sp.csr_matrix(graph.obsp["distances"] > 0, dtype=np.float64) / 6
    assert (weights.getnnz(axis=1) == 6).all()
    found = morans_i(sp.csr_matrix(values), place)
    np.testing.assert_allclose(found[:5], sc.metrics.morans_i(weights, values[:, :5].T), atol=1e-6)
    assert found[0] > 0.7 and found[5] == 0


def test_spatial_variation_finds_the_genes_of_the_domains(tissue):
    """Shuffling the spots of every slide leaves nothing to find."""
    shuffled = [
        morans_i(lognorm(slide.X)[np.random.default_rng(0).permutation(slide.n_obs)], slide.obsm["position"])
        for slide in tissue
    ]
    assert spatial_variation(tissue).max() > 2 * np.abs(np.mean(shuffled, axis=0)).max()
