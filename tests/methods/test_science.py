"""What the benchmark must show on simulated tissue: learned context beats single spots, where there is any to learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from baselines.pca import PCA
from baselines.random_features import RandomFeatures
from benchmark.data.corpus import Corpus
from benchmark.data.prepare import write_corpus
from benchmark.data.splits import Fold, donor_folds
from benchmark.datasets.simulated import Simulated
from benchmark.metrics.labels import classification as metrics
from benchmark.tasks.probes import predict
from benchmark.training.budget import Budget
from methods.context.method import Context
from methods.patch.method import Patch

pytestmark = pytest.mark.slow

MOST = 2e11  # FLOPs
SIDES = (4, 8, 16, "slide")


@dataclass
class Tissue:
    """Slides of six donors, of which half are held out, and the scores that were asked for."""

    corpus: Corpus
    fold: Fold

    def score(self, method, amount=0.0) -> float:
        """Macro-F1 of the k-NN's labels over all spots of the held-out donors."""
        method.fit(self.corpus.subset(self.fold.fit), Budget("flops", amount), 0)
        vectors, labels = {}, {}
        for side, names in {"fit": self.fold.fit, "test": self.fold.test}.items():
            slides = [self.corpus[name] for name in names]
            vectors[side] = np.concatenate([method.embed(slide) for slide in slides])
            labels[side] = np.concatenate([slide.obs["label"].astype(str) for slide in slides])
        predicted = predict("knn", vectors["fit"], labels["fit"], vectors["test"])
        return metrics(labels["test"], predicted)["macro_f1"]


def tissue_of(folder, change=lambda slide: slide, **options) -> Tissue:
    data = Simulated(slides_per_donor=1, shape=(20, 20), image=False, **options)
    corpus = write_corpus(map(change, data.slides()), folder, data.record())
    return Tissue(corpus, donor_folds(corpus.table["group"].to_dict(), 2)[0])


def moved(slide):
    """The slide with its spots in each other's places."""
    order = np.random.default_rng(0).permutation(slide.n_obs)
    for what in ("position", "lattice"):
        slide.obsm[what] = slide.obsm[what][order]
    return slide


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    return tissue_of(tmp_path_factory.mktemp("science"))


@pytest.fixture(scope="module")
def alone(tissue):
    """What a trained spot unit reaches."""
    return tissue.score(Context(side=1), MOST)


@pytest.mark.parametrize("side", SIDES)
def test_a_trained_sample_of_several_spots_beats_the_untrained_one_pca_and_the_spot(tissue, alone, side):
    trained = tissue.score(Context(side=side), MOST)
    assert trained > max(tissue.score(Context(side=side)), tissue.score(PCA()), alone) + 0.05


def test_a_trained_patch_of_channels_beats_the_untrained_one_and_pca(tissue):
    trained = tissue.score(Patch(size=8, n_channels=256), MOST)
    assert trained > tissue.score(Patch(size=8, n_channels=256)) + 0.05
    assert trained > tissue.score(PCA()) + 0.02


@pytest.mark.parametrize("side", (1, 8, "slide"))
def test_where_expression_is_shuffled_nothing_is_above_chance(tmp_path, side):
    shuffled = tissue_of(tmp_path, shuffle=True)
    assert shuffled.score(Context(side=side), MOST / 4) < shuffled.score(RandomFeatures()) + 0.05


@pytest.mark.parametrize("side", (8, "slide"))
def test_where_places_are_shuffled_a_sample_of_several_spots_is_no_better_than_the_spot(tmp_path, alone, side):
    assert tissue_of(tmp_path, moved).score(Context(side=side), MOST) < alone + 0.03
