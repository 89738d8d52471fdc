"""What SPATIA must show where the truth is known: images that carry the cell type, and expression of few counts."""

import numpy as np
import pytest

from benchmark.budget import Budget
from benchmark.corpus import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.probes import predict
from benchmark.tasks.domain import metrics
from methods.spatia.method import Spatia

ARMS = {
    "gene": {"levels": "gene"},
    "image": {"levels": "image"},
    "cell": {"levels": "cell"},
}
STEPS = 300


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    """Macro-F1 of a linear probe on the donor held out, by arm, for the spots' cell types."""
    data = Simulated(n_donors=4, shape=(16, 16), n_genes=60, n_cell_types=4, depth=50)
    corpus = write_corpus(data.slides(), tmp_path_factory.mktemp("science"), data.record())
    fit, test = corpus.names[:6], corpus.names[6:]
    found = {}
    for arm, options in ARMS.items():
        method = Spatia(preset="nano", **options)
        method.fit(corpus.subset(fit), Budget("spots", STEPS * method.sampler.samples_per_step), seed=0)
        sides = [np.concatenate([method.embed(corpus[name]) for name in names]) for names in (fit, test)]
        label = [np.concatenate([corpus[n].obs["cell_type"].astype(str) for n in names]) for names in (fit, test)]
        found[arm] = metrics(label[1], predict("linear", sides[0], label[0], sides[1]))["macro_f1"]
    return found


def test_fusion_beats_either_modality_by_itself(score):
    assert score["cell"] > score["gene"] + 0.05
    assert score["cell"] > score["image"] + 0.02
