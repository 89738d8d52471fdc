"""Controls: each shows what it should show, on simulated tissue and on her2st."""

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy.spatial.distance import cdist, pdist
from sklearn.metrics import accuracy_score, adjusted_rand_score

from baselines.coordinates import Coordinates
from baselines.interpolation import GeneMean, InverseDistance, NeighbourMean, Zero
from baselines.noise import Noise
from baselines.pca import PCA
from baselines.random_features import RandomFeatures
from benchmark.data.gene_selection import moments, top_dispersion, top_variance
from benchmark.data.normalisation import lognorm
from benchmark.data.prepare import write_corpus
from benchmark.data.slide import make_slide
from benchmark.data.splits import donor_folds, random_spots
from benchmark.datasets.her2st import Her2st
from benchmark.datasets.simulated import Simulated
from benchmark.tasks.probes import predict
from benchmark.tasks.reconstruction import Reconstruction
from tests.helpers.real import DATA, needs_data


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(20, 20), n_genes=200, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("baselines"), data.record())


@pytest.fixture(scope="module")
def stacked(corpus):
    """All spots of the corpus with raw counts, for scanpy."""
    return ad.concat([ad.AnnData(slide.X, var=slide.var) for slide in corpus], index_unique="-", keys=corpus.names)


def embedded(method, corpus, slide, seed=0):
    method.fit(corpus, None, seed)
    return method.embed(slide)


# Embeddings


def test_coordinates_tell_the_slide_and_the_position(corpus):
    first, second, third = corpus
    method = Coordinates()
    method.fit(corpus.subset(corpus.names[:2]), None, 0)
    one, two, unseen = method.embed(first), method.embed(second), method.embed(third)
    np.testing.assert_allclose(pdist(one), pdist(first.obsm["position"]), rtol=1e-6)
    assert cdist(one, two).min() > 100 * pdist(one).max()
    # An unseen slide is equally far from all slides of the corpus, so only the position counts.
    distance = cdist(third.obsm["position"], first.obsm["position"])
    np.testing.assert_allclose(cdist(unseen, one) ** 2 - 1e8, distance**2, atol=1e-3)


@pytest.mark.parametrize("method", [RandomFeatures(), Noise()])
def test_features_without_expression_depend_on_slide_and_seed_alone(corpus, method):
    first, second, _ = corpus
    blank = first.copy()
    blank.X = blank.X * 0
    assert (embedded(method, corpus, first) == embedded(method, corpus, blank)).all()
    assert not np.array_equal(embedded(method, corpus, first, 0), embedded(method, corpus, first, 1))
    n_spots = min(first.n_obs, second.n_obs)
    same = embedded(method, corpus, first)[:n_spots] == embedded(method, corpus, second)[:n_spots]
    assert not same.any()


def test_averaged_noise_is_alike_where_spots_are_near(corpus):
    slide = corpus[corpus.names[0]]
    apart = pdist(slide.obsm["position"])
    noise, single = (pdist(embedded(method, corpus, slide)) for method in (Noise(), RandomFeatures()))
    assert noise[apart <= 1].mean() < 0.7 * noise[apart > 8].mean()
    assert single[apart <= 1].mean() == pytest.approx(single[apart > 8].mean(), rel=0.05)


def test_moments_are_taken_over_all_spots_together(corpus, stacked):
    values = lognorm(stacked.X).toarray().astype(np.float64)
    mean, variance = moments(corpus)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(variance, values.var(axis=0), rtol=1e-6)
    assert set(top_variance(corpus, 30)) == set(np.argsort(values.var(axis=0))[-30:])


def test_scanpy_finds_the_same_variable_genes(corpus, stacked):
    counts = stacked.copy()
    sc.pp.normalize_total(counts, target_sum=1e4)
    sc.pp.log1p(counts)
    sc.pp.highly_variable_genes(counts, n_top_genes=40, flavor="seurat")
    assert set(top_dispersion(corpus, 40)) == set(np.flatnonzero(counts.var["highly_variable"]))


def test_scanpy_s_recipe_gives_the_same_components(corpus, stacked):
    counts = stacked.copy()
    sc.pp.normalize_total(counts, target_sum=1e4)
    sc.pp.log1p(counts)
    sc.pp.highly_variable_genes(counts, n_top_genes=100, flavor="seurat")
    counts = counts[:, counts.var["highly_variable"]].copy()
    counts.X = counts.X.toarray()
    sc.pp.scale(counts, max_value=10)
    sc.pp.pca(counts, n_comps=10, svd_solver="full")
    method = PCA(n_components=10, n_genes=100)
    method.fit(corpus, None, 0)
    components = np.concatenate([method.embed(slide) for slide in corpus])
    np.testing.assert_allclose(pdist(components), pdist(counts.obsm["X_pca"]), rtol=2e-3)


def test_components_are_fitted_on_the_corpus_alone(corpus):
    slide = corpus[corpus.names[2]]
    method = PCA(n_components=5)
    method.fit(corpus.subset(corpus.names[:2]), None, 0)
    # Each spot of another slide is embedded alone, so the other spots of that slide have no effect.
    np.testing.assert_allclose(method.embed(slide)[:7], method.embed(slide[:7].copy()), atol=1e-4)


def test_there_are_fewer_components_than_genes(corpus):
    tiny = corpus[corpus.names[0]]
    method = PCA(n_components=50, n_genes=8)
    assert embedded(method, corpus, tiny).shape == (tiny.n_obs, 7)


# Reconstruction


def gradient() -> ad.AnnData:
    """A 5 × 5 grid. One gene grows with the row, and the other gives every spot the same total."""
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), axis=-1).reshape(-1, 2)
    counts = np.stack([grid[:, 0] + 1, 9 - grid[:, 0]], axis=1)
    names = [f"{row}x{column}" for row, column in grid]
    return make_slide(
        counts, ["up", "down"], names, name="g", donor="g", position=grid, lattice=grid, lattice_record={}
    )


def test_interpolation_of_one_hidden_spot_is_as_worked_by_hand():
    slide = gradient()
    values = lognorm(slide.X).toarray()
    hidden = np.arange(25) == 12
    square = values.reshape(5, 5, 2)
    beside = square[1, 2] + square[3, 2] + square[2, 1] + square[2, 3]
    across = square[1, 1] + square[1, 3] + square[3, 1] + square[3, 3]
    expected = {
        Zero: np.zeros(2),
        GeneMean: values[~hidden].mean(axis=0),
        NeighbourMean: (beside + across) / 8,
        InverseDistance: (beside + across / 2) / 6,
    }
    for method, worked in expected.items():
        reconstructed = method().reconstruct(slide, hidden)
        np.testing.assert_allclose(reconstructed[12], worked, rtol=1e-6)
        np.testing.assert_array_equal(reconstructed[~hidden], values[~hidden])


@pytest.mark.parametrize("method", [Zero(), GeneMean(), NeighbourMean(), InverseDistance()])
def test_hidden_counts_have_no_effect(method):
    slide, other = gradient(), gradient()
    hidden = np.arange(25) < 20
    other.X[hidden] = 3
    np.testing.assert_array_equal(method.reconstruct(slide, hidden)[hidden], method.reconstruct(other, hidden)[hidden])
    np.testing.assert_array_equal(method.reconstruct(slide, np.zeros(25, dtype=bool)), lognorm(slide.X).toarray())


def test_neighbours_tell_more_than_the_mean_and_the_mean_more_than_nothing(corpus):
    task, slide = Reconstruction(sizes=(2,), n_genes=50), corpus[corpus.names[0]]
    score = {}
    for method in (Zero(), GeneMean(), NeighbourMean()):
        rows = task.score(slide, task.predict(method, corpus, slide))
        score[type(method)] = {row.metric: row.value for row in rows}
    assert score[GeneMean]["mse"] < score[Zero]["mse"]
    assert score[Zero]["pearson"] == score[GeneMean]["pearson"] == 0
    assert score[NeighbourMean]["pearson"] > 0.1


# her2st: why the split decides what a score means


@pytest.fixture(scope="module")
def her2st(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITBENCH_DATA", str(DATA))
        data = Her2st()
        return write_corpus(data.slides(), tmp_path_factory.mktemp("her2st"), data.record())


def labelled_spots(method, corpus):
    """Embedding, label and slide of every labelled spot, `[3157, …]` each."""
    parts = []
    for slide in corpus.subset(corpus.labelled):
        is_labelled = slide.obs["label"].notna().to_numpy()
        label = slide.obs["label"].to_numpy(dtype=object)[is_labelled].astype(str)
        parts.append((method.embed(slide)[is_labelled], label, np.full(is_labelled.sum(), slide.uns["slide"])))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def random_spots_score(method, corpus):
    """Accuracy and ARI of the k-NN's predictions, mean of five 80/20 splits."""
    method.fit(corpus, None, 0)
    embedding, label, _ = labelled_spots(method, corpus)
    scores = []
    for repeat in range(5):
        train, test = random_spots(len(label), 0.2, np.random.default_rng(repeat))
        predicted = predict("knn", embedding[train], label[train], embedding[test])
        scores.append((accuracy_score(label[test], predicted), adjusted_rand_score(label[test], predicted)))
    return np.mean(scores, axis=0)


def held_out_accuracy(method, corpus):
    """Accuracy of the k-NN, mean over the eight donors, each held out in turn."""
    scores = []
    for fold in donor_folds(corpus.table["group"].to_dict(), None):
        method.fit(corpus.subset(fold.fit), None, 0)
        embedding, label, slide = labelled_spots(method, corpus)
        test = np.isin(slide, fold.test)
        predicted = predict("knn", embedding[~test], label[~test], embedding[test])
        scores.append(accuracy_score(label[test], predicted))
    assert len(scores) == 8
    return np.mean(scores)


@pytest.mark.slow
@needs_data
def test_random_spots_reward_the_position_and_held_out_donors_do_not(her2st):
    assert sum(sum(labels.values()) for labels in her2st.table["labels"]) == 3157
    accuracy, ari = random_spots_score(Coordinates(), her2st)
    assert accuracy == pytest.approx(0.87, abs=0.03) and ari == pytest.approx(0.75, abs=0.04)
    assert random_spots_score(Noise(), her2st)[0] == pytest.approx(0.84, abs=0.04)
    assert random_spots_score(PCA(), her2st)[0] == pytest.approx(0.72, abs=0.04)
    assert held_out_accuracy(Coordinates(), her2st) < 0.45
    assert held_out_accuracy(PCA(), her2st) == pytest.approx(0.54, abs=0.04)
