"""What SPATIA must show on simulated tissue, where images carry the cell type and counts are few."""

import numpy as np
import pytest

from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.metrics.labels import classification as metrics
from benchmark.tasks.probes import predict
from benchmark.training.budget import Budget
from methods.spatia.method import Spatia

pytestmark = pytest.mark.slow

ARMS = {
    "gene": (600, {"levels": "gene"}),
    "image": (300, {"levels": "image"}),
    "cell": (600, {"levels": "cell"}),
    "shuffled images": (1200, {"levels": "cell", "shuffle_images": True}),  # it takes this long to unlearn the image
    "niche": (300, {"levels": "cell-niche_image"}),
    "shuffled neighbours": (300, {"levels": "cell-niche_image", "shuffle_neighbours": True}),
}


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    """Macro-F1 of a linear probe on the held-out donors, by arm, for the spots' cell types and for their domains."""
    data = Simulated(n_donors=4, shape=(16, 16), n_genes=60, n_cell_types=4, depth=50)
    corpus = write_corpus(data.slides(), tmp_path_factory.mktemp("science"), data.record())
    fit, test = corpus.names[:6], corpus.names[6:]
    scores = {}
    for arm, (steps, options) in ARMS.items():
        method = Spatia(preset="nano", **options)
        method.fit(corpus.subset(fit), Budget("spots", steps * method.sampler.samples_per_step), seed=0)
        sides = [np.concatenate([method.embed(corpus[name]) for name in names]) for names in (fit, test)]
        for truth in ("cell_type", "label"):
            label = [np.concatenate([corpus[n].obs[truth].astype(str) for n in names]) for names in (fit, test)]
            predicted = predict("linear", sides[0], label[0], sides[1])
            scores[arm, truth] = metrics(label[1], predicted)["macro_f1"]
    return scores


def test_fusion_beats_either_modality_by_itself(score):
    assert score["cell", "cell_type"] > score["gene", "cell_type"] + 0.05
    assert score["cell", "cell_type"] > score["image", "cell_type"] + 0.02


def test_shuffled_images_leave_what_the_genes_say(score):
    assert score["shuffled images", "cell_type"] < score["cell", "cell_type"] - 0.05
    assert abs(score["shuffled images", "cell_type"] - score["gene", "cell_type"]) < 0.08


def test_the_niche_tells_the_domain_and_shuffled_neighbours_leave_what_the_cell_says(score):
    assert score["niche", "label"] > score["cell", "label"] + 0.03
    assert score["shuffled neighbours", "label"] < score["niche", "label"] - 0.03
    assert abs(score["shuffled neighbours", "label"] - score["cell", "label"]) < 0.08
