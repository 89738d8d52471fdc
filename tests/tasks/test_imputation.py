"""Imputation: metrics by hand and against scipy, what a method is shown, and baselines on data of known truth."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import pearsonr, spearmanr

from baselines.imputation import KNNInSpace, Ridge
from baselines.interpolation import GeneMean
from benchmark.data.gene_selection import moments, top_variance
from benchmark.data.normalisation import library_size, lognorm
from benchmark.data.prepare import write_corpus
from benchmark.metrics.expression import imputation as metrics
from benchmark.tasks.imputation import Imputation, without


class Oracle:
    """Predicts the true values of a slide, and keeps what it was shown."""

    def __init__(self, slide: ad.AnnData):
        self.truth, self.seen = lognorm(slide.X).toarray(), []

    def impute(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        self.seen.append((slide, hidden))
        return self.truth[:, hidden]


# Metrics


def test_metrics_are_means_over_genes_and_constants_correlate_0():
    truth = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    predicted = np.array([[2.0, 1.0], [4.0, 2.0], [6.0, 2.0]])
    rmse = (np.sqrt((1 + 4 + 9) / 3) + np.sqrt((1 + 4 + 4) / 3)) / 2
    assert metrics(truth, predicted) == pytest.approx({"pearson": 0.5, "spearman": 0.5, "rmse": rmse})


@given(st.integers(3, 30), st.integers(0, 99))
def test_correlations_are_those_of_scipy(n_spots, seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.poisson(1.0, n_spots).astype(float), rng.random(n_spots)
    if np.ptp(truth):
        scores = metrics(truth[:, None], predicted[:, None])
        assert scores["pearson"] == pytest.approx(pearsonr(truth, predicted)[0], abs=1e-9)
        assert scores["spearman"] == pytest.approx(spearmanr(truth, predicted)[0], abs=1e-9)


def test_every_metric_is_declared_with_its_direction():
    declared = {metric.name: metric.lower_is_better for metric in Imputation.metrics}
    assert declared == {"pearson": False, "spearman": False, "rmse": True}


# What a method is shown


def test_each_gene_of_the_panel_is_hidden_once_and_nothing_else_changes(tissue):
    task, slide, train = Imputation(n_genes=23, folds=5), tissue[tissue.names[-1]], tissue.subset(tissue.names[:4])
    before, oracle = slide.X.copy(), Oracle(slide)
    predicted = task.predict(oracle, train, slide)
    hidden = [genes for _, genes in oracle.seen]
    assert sorted(len(genes) for genes in hidden) == [4, 4, 5, 5, 5]
    assert sorted(np.concatenate(hidden)) == sorted(top_variance(train, 23))
    for shown, genes in oracle.seen:
        others = np.setdiff1d(np.arange(slide.n_vars), genes)
        assert shown.X[:, genes].nnz == 0 and (shown.X[:, others] != before[:, others]).nnz == 0
        np.testing.assert_array_equal(shown.obs, slide.obs)
    assert (before != slide.X).nnz == 0
    scores = {row.metric: row.value for row in task.score(slide, predicted)}
    assert scores == pytest.approx({"pearson": 1, "spearman": 1, "rmse": 0})
    again = Oracle(slide)
    task.predict(again, train, slide)
    assert all((a == b).all() for (_, a), (_, b) in zip(oracle.seen, again.seen, strict=True))


def test_the_library_size_says_nothing_of_hidden_genes_that_have_their_own_total(tissue):
    """Each spot has a depth. The hidden genes have a level of their own, which no visible gene shows."""
    rng, slide, hidden = np.random.default_rng(0), tissue[tissue.names[0]].copy(), np.arange(20)
    depth, level = rng.lognormal(8, 0.4, (slide.n_obs, 1)), rng.lognormal(0, 0.4, (slide.n_obs, 1))
    rate = depth * np.where(np.isin(np.arange(slide.n_vars), hidden), level, 2.0)
    slide.X = csr_matrix(rng.poisson(rate).astype(np.float32))
    shown, truth = without(slide, hidden), lognorm(slide.X)[:, hidden].toarray()
    given, of_all = library_size(shown.X), library_size(slide.X)
    by_size, by_both = (np.repeat(size[:, None], 20, axis=1) for size in (given, of_all / given))
    assert abs(metrics(truth, by_size)["pearson"]) < 0.15
    assert metrics(truth, by_both)["pearson"] > 0.9  # so much would the sum of all genes tell


@pytest.mark.parametrize("wrong", [lambda values: values[:, :1], lambda values: values * np.nan])
def test_an_imputation_of_wrong_shape_or_with_nan_is_refused(tissue, wrong):
    slide = tissue[tissue.names[0]]
    oracle = Oracle(slide)
    oracle.impute = lambda slide, hidden: wrong(oracle.truth[:, hidden])
    with pytest.raises(ValueError, match=r"impute\(donor0_0\) has shape"):
        Imputation().predict(oracle, tissue, slide)


# Baselines


@pytest.fixture(scope="module")
def twins(tissue, tmp_path_factory):
    """The tissue where genes 0 to 4 have twice the counts of 10 to 14."""
    slides = [slide.copy() for slide in tissue]
    for slide in slides:
        counts = slide.X.toarray()
        counts[:, :5] = 2 * counts[:, 10:15]
        slide.X = csr_matrix(counts)
    return write_corpus(slides, tmp_path_factory.mktemp("twins"), {"name": "twins"})


@pytest.mark.parametrize("method", [Ridge(), Ridge(neighbours=4), KNNInSpace(), KNNInSpace(neighbours=0, k=5)])
def test_a_gene_with_a_visible_twin_is_predicted_better_than_by_its_mean(twins, method):
    train, slide, hidden = twins.subset(twins.names[:4]), twins[twins.names[-1]], np.arange(5)
    truth, scores = lognorm(slide.X)[:, hidden].toarray(), []
    for entrant in (method, GeneMean()):
        entrant.fit(train, None, 0)
        scores.append(metrics(truth, entrant.impute(without(slide, hidden), hidden)))
    ours, floor = scores
    assert floor["pearson"] == 0 < 0.1 < ours["pearson"] and ours["rmse"] < floor["rmse"]


def test_ridge_predicts_a_twin_almost_exactly(twins):
    method, slide, hidden = Ridge(), twins[twins.names[-1]], np.arange(5)
    method.fit(twins.subset(twins.names[:4]), None, 0)
    truth = lognorm(slide.X)[:, hidden].toarray()
    assert metrics(truth, method.impute(without(slide, hidden), hidden))["pearson"] > 0.95


def test_the_nearest_of_the_training_spots_is_the_spot_itself(tissue):
    method, slide, hidden = KNNInSpace(neighbours=0, k=1), tissue[tissue.names[0]], np.array([3, 8])
    method.fit(tissue, None, 0)
    truth = lognorm(slide.X)[:, hidden].toarray()
    np.testing.assert_allclose(method.impute(without(slide, hidden), hidden), truth, rtol=1e-5)


def test_hidden_counts_of_the_tested_slide_do_not_matter(tissue):
    slide, hidden = tissue[tissue.names[-1]], np.array([0, 7, 20])
    shown = without(slide, hidden)
    other = slide.copy()
    other.X = csr_matrix(slide.X.toarray() + np.isin(np.arange(slide.n_vars), hidden))
    blind = without(other, hidden)
    for method in (GeneMean(), Ridge(), KNNInSpace()):
        method.fit(tissue.subset(tissue.names[:4]), None, 0)
        np.testing.assert_array_equal(method.impute(shown, hidden), method.impute(blind, hidden))


def test_the_gene_mean_is_that_of_the_training_slides(tissue):
    method, train = GeneMean(), tissue.subset(tissue.names[:2])
    method.fit(train, None, 0)
    values = np.concatenate([lognorm(slide.X).toarray() for slide in train]).mean(axis=0)
    imputed = method.impute(tissue[tissue.names[-1]], np.array([4, 9]))
    np.testing.assert_allclose(imputed, np.tile(values[[4, 9]], (len(imputed), 1)), rtol=1e-5)
    np.testing.assert_allclose(moments(train)[0], values, rtol=1e-5)
