"""The supervised ceiling: labels of training slides alone, nowhere else, and no rank."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from baselines.pca import PCA
from baselines.supervised import Supervised
from benchmark.core.contracts.breaches import breaches
from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from benchmark.data.shown import shown
from benchmark.datasets.simulated import Simulated
from benchmark.experiment.score import score_arms
from tests.helpers.arms import config, run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(16, 16), n_genes=100, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("supervised"), data.record())


def test_it_tells_the_domains_of_a_donor_that_it_has_not_seen_better_than_the_commonest_does(corpus):
    method, slide = Supervised(), corpus[corpus.names[-1]]
    method.fit(corpus.for_methods(corpus.names[:-1], labels=True), None, 0)
    told = method.embed(shown(slide)).argmax(axis=1)
    truth = slide.obs["label"].cat.codes.to_numpy()
    assert accuracy_score(truth, told) > np.bincount(truth).max() / len(truth) + 0.2


def test_labels_are_shown_to_fit_alone_and_to_those_who_ask(corpus):
    names = corpus.names[:2]
    assert all("label" in slide.obs for slide in corpus.for_methods(names, labels=True))
    assert not any("label" in slide.obs for slide in corpus.for_methods(names))
    with pytest.raises(UnitBenchError, match="under two labels"):
        Supervised().fit(corpus.for_methods(names), None, 0)


def test_who_asks_for_labels_says_that_it_is_no_rival(monkeypatch):
    assert not list(breaches(Supervised()))
    monkeypatch.setattr(Supervised, "reference", "")
    assert "`reference` does not say" in next(iter(breaches(Supervised())))


def test_it_has_no_arm_where_it_would_learn_from_spots_that_are_tested(corpus, tmp_path):
    settings = config(methods=["supervised"], tasks=["domain"])
    records = [record for fold in ("fold0", "all") for record in run(settings, corpus, tmp_path, "supervised", fold)[0]]
    assert [record["status"] for record in records] == ["ok", "not applicable"]
    rows, _ = score_arms(settings, corpus, tmp_path, records)
    assert {row.reference for row in rows} == {Supervised.reference}
    assert {row.status for row in rows if row.split == "random"} == {"not applicable"}


def test_the_mean_over_neighbours_before_the_components_is_that_of_the_genes(corpus):
    """The components of the mean are the mean of the components, up to their axes: with nearly all of them no
    distance differs by much."""
    early, late = (PCA(99, 100, 6, averaged=what) for what in ("genes", "components"))
    slide = corpus[corpus.names[0]]
    for method in (early, late):
        method.fit(corpus, None, 0)
    first, second = (method.embed(slide)[:40] for method in (early, late))
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (first, second)]
    np.testing.assert_allclose(*distances, rtol=0.02, atol=0.05)
    spread = [np.square(method.embed(slide)[:, :5]).sum() for method in (early, late)]
    assert spread[0] > spread[1]  # its axes are those along which neighbourhoods differ, not spots
