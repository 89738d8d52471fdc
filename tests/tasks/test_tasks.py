"""Tasks: scores worked by hand and against other implementations, and what no method may see."""

from collections import Counter

import anndata as ad
import igraph
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import kneighbors_graph

from benchmark.core.contracts import NotApplicable, Spots
from benchmark.data.gene_selection import top_variance
from benchmark.data.normalisation import lognorm
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.metrics import labels
from benchmark.metrics.expression import pearson
from benchmark.tasks import probes
from benchmark.tasks.clustering import SETTINGS, Clustering, best, kmeans, leiden, neighbour_graph
from benchmark.tasks.domain import Domain
from benchmark.tasks.reconstruction import Reconstruction, holes

GRID = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0), indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(16, 16), n_genes=60, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("tasks"), data.record())


def blobs(label: np.ndarray, seed: int) -> np.ndarray:
    """An embedding that keeps each label far from the others, `[n_spots, 4]`."""
    number = np.unique(label, return_inverse=True)[1]
    return (20 * np.eye(4)[number] + np.random.default_rng(seed).standard_normal((len(label), 4))).astype(np.float32)


def spots(label: list[str], slide: list[str], seed: int = 0) -> Spots:
    return Spots(blobs(np.array(label), seed), np.array(label), np.array(slide))


# Domain detection


def test_a_label_absent_from_the_test_spots_does_not_count():
    truth = np.array(["a", "a", "a", "b"])
    predicted = np.array(["a", "a", "c", "b"])
    scores = labels.classification(truth, predicted)
    assert scores["accuracy"] == 3 / 4
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["macro_f1"] == pytest.approx((0.8 + 1) / 2)


@pytest.mark.filterwarnings("ignore:A single label")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=40))
def test_balanced_accuracy_is_that_of_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    predicted = np.where(np.isin(predicted, truth), predicted, truth[0])
    expected = balanced_accuracy_score(truth, predicted)
    assert labels.classification(truth, predicted)["balanced_accuracy"] == pytest.approx(expected)


def test_each_test_slide_is_scored_by_itself():
    train = spots(["a", "b", "c"] * 30, ["s0"] * 90)
    test = spots(["a", "b", "c"] * 30, ["s1"] * 36 + ["s2"] * 54, seed=1)
    rows = list(Domain().score(train, test, seed=0))
    assert Counter((row.setting, row.slide) for row in rows) == {
        (probe, slide): 4 for probe in probes.PROBES for slide in ("s1", "s2")
    }
    assert {(row.slide, row.n_train, row.n_test) for row in rows} == {("s1", 90, 36), ("s2", 90, 54)}
    assert all(row.value == 1 for row in rows if row.setting in ("knn", "linear"))
    assert {row.value for row in rows if (row.setting, row.metric) == ("majority", "accuracy")} == {1 / 3}
    assert (Domain().predictions(train, test) == test.label).all()


def test_a_label_that_was_never_learned_is_missed_and_no_error():
    train = spots(["a", "b"] * 20, ["s0"] * 40)
    test = Spots(train.embedding[:4], np.array(["a", "b", "a", "new"]), np.array(["s1"] * 4))
    scores = {row.metric: row.value for row in Domain(min_support=1).score(train, test, 0) if row.setting == "knn"}
    assert scores["accuracy"] == 3 / 4 and scores["balanced_accuracy"] == pytest.approx(2 / 3)


# Clustering


def test_separated_labels_are_found_as_clusters_in_each_slide():
    test = spots(["a", "b", "c"] * 40, ["s1"] * 60 + ["s2"] * 60)
    rows = list(Clustering().score(test, test, seed=0))
    assert Counter((row.setting, row.metric, row.slide) for row in rows) == {
        (setting, metric, slide): 1 for setting in SETTINGS for metric in ("ari", "nmi") for slide in ("s1", "s2")
    }
    assert all(row.value == pytest.approx(1) for row in rows if row.setting == "kmeans")
    assert all(row.value > 0.5 for row in rows)


def test_noise_has_no_clusters_of_the_labels():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 300)
    test = Spots(rng.standard_normal((300, 8)), label, np.full(300, "s1"))
    scores = {row.metric: row.value for row in Clustering().score(test, test, 0) if row.setting == "leiden"}
    assert abs(scores["ari"]) < 0.05


def test_a_slide_with_one_label_is_not_applicable_with_its_reason():
    test = spots(["a"] * 30, ["s1"] * 30)
    rows = list(Clustering().score(test, test, seed=0))
    assert [type(row) for row in rows] == [NotApplicable] * 4
    assert {row.reason for row in rows} == {"labels with at least 10 spots: 1, 2 are needed"}


def test_few_spots_are_clustered():
    few = spots(["a", "b"], ["s1", "s1"])
    assert len(list(Clustering(min_support=1).score(few, few, seed=0))) == 8


def test_leiden_reaches_the_modularity_of_the_true_parts():
    label = np.repeat(["a", "b", "c", "d"], 30)
    embedding = blobs(label, 0)
    cluster = leiden(neighbour_graph(embedding, 15), 1.0, seed=0)
    graph = igraph.Graph.Adjacency(kneighbors_graph(embedding, 15).astype(int), mode="max")
    truth = np.unique(label, return_inverse=True)[1]
    assert graph.modularity(cluster.tolist()) >= graph.modularity(truth.tolist()) - 1e-9
    assert all(len(set(label[cluster == c])) == 1 for c in set(cluster))


def test_clusters_are_the_same_for_the_same_seed():
    embedding = np.random.default_rng(0).standard_normal((200, 5))
    assert (kmeans(embedding, 4, 1) == kmeans(embedding, 4, 1)).all()
    graph = neighbour_graph(embedding, 15)
    assert (leiden(graph, 1.0, 1) == leiden(graph, 1.0, 1)).all()


def nested(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An embedding of 2 wholes, each of 4 parts of 14 spots, and the whole and the part of each spot."""
    part = np.repeat(np.arange(8), 14)
    centre = np.column_stack([100 * (np.arange(8) // 4), 3 * np.eye(4)[np.arange(8) % 4]])
    embedding = centre[part] + 0.5 * np.random.default_rng(seed).standard_normal((112, 5))
    return embedding.astype(np.float32), part // 4, part


def test_the_resolution_is_chosen_by_the_labels_of_training_slides_alone():
    learned, coarse, fine = nested(0)
    embedding, wholes, parts = nested(1)
    train = {
        name: Spots(learned, label.astype(str), np.full(112, "s0"))
        for name, label in (("coarse", coarse), ("fine", fine))
    }
    scores = {}
    for name, label in (("coarse", wholes), ("fine", parts)):
        test = Spots(embedding, label.astype(str), np.full(112, "s1"))
        for chosen_by, learned_from in train.items():
            rows = Clustering().score(learned_from, test, seed=0)
            scores |= {(name, chosen_by, row.setting): row.value for row in rows if row.metric == "ari"}
    for name, other in (("coarse", "fine"), ("fine", "coarse")):
        assert scores[name, name, "leiden_chosen"] > 0.9
        assert scores[name, other, "leiden_chosen"] < 0.4  # the labels of the scored slide did not help
        assert scores[name, other, "leiden_oracle"] == scores[name, name, "leiden_oracle"] > 0.9


@given(st.integers(0, 30))
def test_the_oracle_is_never_below_the_chosen_resolution(seed):
    rng = np.random.default_rng(seed)
    train, test = (
        Spots(rng.standard_normal((60, 3)), rng.choice(["a", "b", "c"], 60), np.full(60, name)) for name in ("s0", "s1")
    )
    scores = {(row.setting, row.metric): row.value for row in Clustering().score(train, test, seed)}
    for metric in ("ari", "nmi"):
        assert scores["leiden_oracle", metric] >= scores["leiden_chosen", metric]


def test_the_oracle_takes_the_best_value_of_each_metric():
    assert best([{"ari": 0.5, "nmi": 0.2}, {"ari": 0.1, "nmi": 0.4}]) == {"ari": 0.5, "nmi": 0.4}


def test_without_training_labels_no_resolution_is_chosen():
    train, test = spots(["a"] * 30, ["s0"] * 30), spots(["a", "b"] * 15, ["s1"] * 30)
    rows = list(Clustering().score(train, test, seed=0))
    absent = [row for row in rows if isinstance(row, NotApplicable)]
    assert [(row.setting, row.slide) for row in absent] == [("leiden_chosen", "s1")]


def test_fifty_dimensions_in_a_hundred_have_the_same_neighbours():
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((80, 50))
    turned = embedding @ np.linalg.qr(rng.standard_normal((100, 100)))[0][:50]
    ours, theirs = (neighbour_graph(values, 5) for values in (embedding, turned))
    assert sorted(ours.get_edgelist()) == sorted(theirs.get_edgelist())


# Reconstruction


@pytest.mark.parametrize(("size", "n_holes"), [(2, 15), (4, 4)])
def test_holes_of_a_full_grid_are_whole_squares(size, n_holes):
    hidden = holes(GRID, size, share=0.15, seed=1)
    assert hidden.sum() == n_holes * size**2
    corners = GRID[hidden].astype(int)
    grid = np.zeros((20, 20), dtype=int)
    grid[tuple(corners.T)] = 1
    sums = np.lib.stride_tricks.sliding_window_view(grid, (size, size)).sum(axis=(2, 3))
    assert (sums == size**2).sum() >= n_holes


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=2, max_size=120, unique=True),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_holes_never_hide_more_than_half_and_are_the_same_twice(cells, size, seed):
    position = np.array(cells, dtype=np.float32)
    hidden = holes(position, size, 0.15, seed)
    assert hidden.sum() <= len(position) / 2
    assert (hidden == holes(position, size, 0.15, seed)).all()


def test_a_hole_as_wide_as_the_slide_is_not_cut():
    assert not holes(GRID[GRID.max(axis=1) < 4], size=8, share=0.15, seed=0).any()


def test_correlations_are_those_of_scipy_and_constants_count_as_zero():
    rng = np.random.default_rng(0)
    a, b = rng.random((40, 5)).astype(np.float32), rng.random((40, 5)).astype(np.float32)
    a[:, 3], b[:, 4] = 0.1, 0.7
    r = pearson(a, b)
    np.testing.assert_allclose(r[:3], [pearsonr(a[:, i], b[:, i])[0] for i in range(3)], rtol=1e-5)
    assert r[3:].tolist() == [0, 0]


class Oracle:
    """Predicts the true values of a slide, and keeps what it was shown."""

    def __init__(self, slide: ad.AnnData):
        self.truth, self.seen = lognorm(slide.X).toarray(), []

    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        self.seen.append((slide, hidden))
        return self.truth


def test_the_truth_scores_best_and_no_hidden_count_is_shown(corpus):
    task, slide = Reconstruction(sizes=(2, 4), n_genes=20), corpus[corpus.names[2]]
    before, oracle = slide.X.copy(), Oracle(slide)
    rows = list(task.score(slide, task.predict(oracle, corpus.subset(corpus.names[:2]), slide)))
    scores = {(row.setting, row.metric): row.value for row in rows}
    agreements = [value for (_, metric), value in scores.items() if metric in ("pearson", "spearman", "r2")]
    assert agreements == pytest.approx([1] * 6)
    assert all(value == 0 for (_, metric), value in scores.items() if metric[:3] in ("mse", "mae"))
    for shown, hidden in oracle.seen:
        assert shown.X[hidden].nnz == 0 and (shown.X[~hidden] != before[~hidden]).nnz == 0
        assert 0.15 <= hidden.mean() <= 0.5
    assert (before != slide.X).nnz == 0


def test_the_panel_is_chosen_on_the_training_slides(corpus):
    task, slide, train = Reconstruction(n_genes=20), corpus[corpus.names[2]], corpus.subset(corpus.names[:2])
    assert (task.predict(Oracle(slide), train, slide)["panel"] == top_variance(train, 20)).all()


def test_a_slide_too_small_for_a_hole_is_not_applicable_with_its_reason(corpus):
    slide = corpus[corpus.names[0]]
    small = slide[(slide.obsm["position"] < 5).all(axis=1)].copy()
    rows = list(Reconstruction(sizes=(8,)).score(small, {"panel": np.arange(3)}))
    assert rows == [NotApplicable("hole 8", rows[0].reason, small.uns["slide"])]
    assert "8 × 8 pitches" in rows[0].reason


def test_a_reconstruction_of_the_wrong_shape_is_refused(corpus):
    slide = corpus[corpus.names[0]]
    oracle = Oracle(slide)
    oracle.truth = oracle.truth[:, :5]
    with pytest.raises(ValueError, match="has shape"):
        Reconstruction().predict(oracle, corpus, slide)
