"""Samples of large slides: labels keep their shares, scores hardly move, rows say so; small slides are as ever."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

from benchmark.core.contracts import Spots
from benchmark.tasks import clustering, sampling
from benchmark.tasks.clustering import Clustering, nearest_others, neighbour_graph
from benchmark.tasks.domain import Domain
from benchmark.tasks.expression_from_image import ExpressionFromImage
from benchmark.tasks.probes import PROBES, predict
from benchmark.tasks.sampling import drawn, in_parts, sampled

NAMES = np.array(["common", "usual", "rare"])


def spots(n: int, seed: int, slides: tuple[str, ...] = ("s1",)) -> Spots:
    """Clouds of three labels that overlap, of very uneven size."""
    rng = np.random.default_rng(seed)
    number = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    embedding = (2.5 * np.eye(3)[number] + rng.standard_normal((n, 3))).astype(np.float32)
    slide = np.array(slides)[rng.integers(0, len(slides), n)]
    return Spots(embedding, NAMES[number], slide, sp.csr_matrix(np.arange(n, dtype=np.float32)[:, None]), slide)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("st")), min_size=2, max_size=300), st.integers(1, 50))
def test_each_label_of_each_slide_keeps_its_share(pairs, most):
    label, slide = np.array(pairs).T
    n = len(label)
    train = Spots(np.arange(n, dtype=np.float32)[:, None], label, slide, group=slide)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "MOST_FITTED", most)
        some, note = sampled(train)
    if n <= most:
        assert some is train and note == ""
        return
    chosen = some.embedding[:, 0].astype(int)
    assert len(chosen) == most and (np.diff(chosen) > 0).all()
    assert (some.label == label[chosen]).all() and (some.slide == slide[chosen]).all()
    assert (some.group == slide[chosen]).all()
    assert note == f"fitted on {most} of {n} training spots, seed 0"
    before, after = (Counter(zip(side.label, side.slide, strict=True)) for side in (train, some))
    assert all(abs(after[kind] - before[kind] * most / n) < 1 for kind in before)


def test_a_sample_is_the_same_again_and_keeps_counts_beside_their_spots(monkeypatch):
    monkeypatch.setattr(sampling, "MOST_FITTED", 40)
    train = spots(500, 0)
    (one, _), (again, _) = sampled(train), sampled(train)
    assert (one.embedding == again.embedding).all()
    assert (train.embedding[one.counts.toarray()[:, 0].astype(int)] == one.embedding).all()
    assert (drawn(500, 40) == drawn(500, 40)).all() and len(set(drawn(500, 40))) == 40
    assert (drawn(40, 40) == np.arange(40)).all()


@given(st.integers(0, 40), st.integers(1, 45))
def test_parts_give_what_the_whole_gives(n, at_once):
    values = np.arange(2 * n).reshape(n, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "AT_ONCE", at_once)
        assert np.array_equal(in_parts(lambda part: part**2, values), values**2)


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_gives_the_same_labels_in_parts(probe, monkeypatch):
    train, test = spots(200, 0), spots(100, 1)
    whole = predict(probe, train.embedding, train.label, test.embedding)
    monkeypatch.setattr(sampling, "AT_ONCE", 7)
    assert (predict(probe, train.embedding, train.label, test.embedding) == whole).all()


def test_probes_on_a_sample_score_within_two_hundredths_of_all_and_say_so(monkeypatch):
    train, test = spots(6000, 0, ("s1", "s2")), spots(3000, 1, ("s3",))
    full = list(Domain().score(train, test, 0))
    monkeypatch.setattr(sampling, "MOST_FITTED", 6000)
    assert list(Domain().score(train, test, 0)) == full  # at the size, to the last digit
    monkeypatch.setattr(sampling, "MOST_FITTED", 1500)
    some = list(Domain().score(train, test, 0))
    assert {(row.n_train, row.note) for row in full} == {(6000, "")}
    assert {(row.n_train, row.note) for row in some} == {(1500, "fitted on 1,500 of 6,000 training spots, seed 0")}
    for all_spots, sample in zip(full, some, strict=True):
        if all_spots.setting != "majority":
            assert sample.value == pytest.approx(all_spots.value, abs=0.02), sample
    assert len(Domain().predictions(train, test)) == 3000


def test_expression_from_the_image_is_fitted_on_a_sample_and_says_so(monkeypatch):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((800, 4)).astype(np.float32)
    counts = sp.csr_matrix(rng.poisson(np.exp(features)).astype(np.float32))
    train, test = (
        Spots(features[half], np.repeat("", 400), np.repeat("s", 400), counts[half])
        for half in (slice(400), slice(400, 800))
    )
    task = ExpressionFromImage(n_genes=4, n_components=4)
    full = {row.setting: row for row in task.score(train, test, 0)}
    monkeypatch.setattr(sampling, "MOST_FITTED", 200)
    some = {row.setting: row for row in task.score(train, test, 0)}
    assert {(row.n_train, row.note) for row in some.values()} == {(200, "fitted on 200 of 400 training spots, seed 0")}
    for setting, row in some.items():
        assert row.value == pytest.approx(full[setting].value, abs=0.1)


# Clusters


def far_apart(n: int, seed: int) -> Spots:
    """Three labels that lie far apart in 8 dimensions."""
    number = np.arange(n) % 3
    embedding = 20 * np.eye(8)[number] + np.random.default_rng(seed).standard_normal((n, 8))
    return Spots(embedding.astype(np.float32), NAMES[number], np.full(n, "s1"))


def test_clusters_of_a_sample_are_scored_on_it_and_say_so(monkeypatch):
    test = far_apart(600, 0)
    full = {(row.setting, row.metric): row for row in Clustering().score(test, test, 0)}
    for module, name in ((sampling, "MOST_FITTED"), (clustering, "MOST_FITTED"), (clustering, "MOST_CLUSTERED")):
        monkeypatch.setattr(module, name, 300)
    some = {(row.setting, row.metric): row for row in Clustering().score(test, test, 0)}
    assert some["kmeans", "ari"] == full["kmeans", "ari"]._replace(note="fitted on 300 of 600 spots, seed 0")
    row = some["leiden", "ari"]
    assert (row.n_test, row.note) == (300, "clusters of 300 of 600 spots, seed 0")
    assert some["leiden_chosen", "ari"].value == pytest.approx(full["leiden_chosen", "ari"].value, abs=0.05)


def test_the_graph_joins_the_nearest_as_scikit_learn_finds_them():
    embedding = np.random.default_rng(0).standard_normal((90, 4))
    near = kneighbors_graph(embedding, 6).toarray() > 0
    assert set(neighbour_graph(embedding, 6).get_edgelist()) == set(
        zip(*np.nonzero(np.triu(near | near.T)), strict=True)
    )


@pytest.mark.slow
def test_approximate_neighbours_are_nearly_the_nearest_and_never_oneself(monkeypatch):
    monkeypatch.setattr(clustering, "MOST_EXACT", 500)
    some = far_apart(1000, 0)
    embedding = np.vstack([some.embedding, np.zeros((30, 8), np.float32)])  # 30 at one place
    found = nearest_others(embedding, 10)
    exact = NearestNeighbors(n_neighbors=10).fit(embedding).kneighbors(return_distance=False)
    assert found.shape == (1030, 10) and (found != np.arange(1030)[:, None]).all()
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found[:1000], exact[:1000], strict=True)]) > 0.9
    assert (nearest_others(embedding, 10) == found).all()
    rows = list(Clustering().score(replace(some, slide=np.full(1000, "s0")), some, 0))
    assert {row.note for row in rows if row.setting.startswith("leiden")} == {"approximate neighbours"}
    assert {row.note for row in rows if row.setting == "kmeans"} == {""}
