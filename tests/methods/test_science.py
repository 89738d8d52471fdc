"""What the benchmark must show: on tissue with noisy spots, learned context beats single spots."""

import numpy as np
import pytest

from baselines.pca import PCA
from benchmark.core import registry
from benchmark.core.config import read_config
from benchmark.data.prepare import write_corpus
from benchmark.data.splits import donor_folds
from benchmark.metrics.labels import classification as metrics
from benchmark.tasks.probes import predict
from benchmark.training.budget import Budget
from methods.context.method import Context
from tests.helpers.paths import CONFIG

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The default run's tissue without its images, its first fold, its patch unit and its largest budget."""
    config = read_config(CONFIG / "default/simulated.yaml")
    data = registry.make("datasets", config.dataset.name, config.dataset.options | {"image": False})
    corpus = write_corpus(data.slides(), tmp_path_factory.mktemp("science"), data.record())
    fold = donor_folds(corpus.table["group"].to_dict(), config.splits.donor_folds)[0]
    return corpus, fold, config.method("patch"), config.budget.amounts[-1]


def macro_f1(method, corpus, fold) -> float:
    """Macro-F1 of the k-NN's labels over all spots of the held-out donors."""
    sides = {"fit": fold.fit, "test": fold.test}
    embedding = {side: np.concatenate([method.embed(corpus[s]) for s in slides]) for side, slides in sides.items()}
    label = {
        side: np.concatenate([corpus[s].obs["label"].astype(str) for s in slides]) for side, slides in sides.items()
    }
    predicted = predict("knn", embedding["fit"], label["fit"], embedding["test"])
    return metrics(label["test"], predicted)["macro_f1"]


def test_a_trained_crop_of_the_one_recipe_beats_the_untrained_one(experiment):
    corpus, fold, _, _ = experiment
    scores = []
    for amount in (0, 1e11):
        context = Context(side=8)
        context.fit(corpus.subset(fold.fit), Budget("flops", amount), 0)
        scores.append(macro_f1(context, corpus, fold))
    untrained, trained = scores
    assert trained > untrained + 0.05


def test_a_trained_patch_unit_beats_the_untrained_one_and_pca(experiment):
    corpus, fold, entry, most = experiment
    train = corpus.subset(fold.fit)
    pca = PCA()
    pca.fit(train, None, 0)
    reference = macro_f1(pca, corpus, fold)
    for seed in SEEDS:
        scores = []
        for amount in (0, most):
            patch = registry.make("methods", entry.method, entry.options)
            patch.fit(train, Budget("flops", amount), seed)
            scores.append(macro_f1(patch, corpus, fold))
        untrained, trained = scores
        assert trained > untrained + 0.05
        assert trained > reference + 0.02
