"""A released model that has seen the data: its rows say so, beside what the task says of them."""

import pytest

from benchmark.core.contracts import Measured
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.experiment.rows import PRETRAINED_ON, ArmRows
from benchmark.experiment.score import score_arms
from benchmark.tasks.domain import Domain
from tests.helpers.arms import config, run
from tests.helpers.plugins import install

SEEN = """
class Seen:
    unit = "none"

    def __init__(self, names: list[str] = ()):
        self.pretrained_on = names

    def fit(self, corpus, budget, seed):
        pass

    def embed(self, slide):
        return slide.obsm["position"]
"""


@pytest.mark.parametrize(
    ("names", "flagged"),
    [(["brain"], {"donor0_0", "donor1_0"}), (["donor1_0"], {"donor1_0"}), (["small"], set()), ([], set())],
    ids=["the data set", "a slide", "the experiment's name", "nothing"],
)
def test_rows_of_slides_that_a_released_model_has_seen_say_so(names, flagged, tmp_path, monkeypatch):
    """A data set goes by its own name, whatever the plugin that reads it and the experiment are called."""
    install(tmp_path / "site", "seeing", SEEN, "seen = seeing:Seen")
    monkeypatch.syspath_prepend(tmp_path / "site")
    data = Simulated(n_donors=2, slides_per_donor=1, shape=(12, 12), n_genes=40, image=False)
    corpus = write_corpus(data.slides(), tmp_path / "corpus", data.record() | {"name": "brain"})
    settings = config(
        methods=[{"method": "seen", "options": {"names": names}}],
        tasks=["domain"],
        splits={"donor_folds": 2, "random_repeats": 0},
    )
    records = [record for fold in ("fold0", "fold1") for record in run(settings, corpus, tmp_path, "seen", fold)[0]]
    rows = [row for row in score_arms(settings, corpus, tmp_path, records)[0] if row.task == "domain"]
    assert {row.dataset for row in rows} == {"brain"} and {row.data for row in rows} == {corpus.digest}
    assert {row.slide for row in rows if row.transductive} == flagged
    assert {row.slide for row in rows if row.note == PRETRAINED_ON} == flagged


def test_the_note_of_a_task_stands_beside_that_of_the_model(tissue, tmp_path):
    (record,), _ = run(config(methods=["random"]), tissue, tmp_path, "random")
    slide = record["seen"]["test"][0]
    result = Measured("knn", "accuracy", 0.5, slide, note="fitted on 2 of 3")
    for seen, note in (([], "fitted on 2 of 3"), ([slide], f"{PRETRAINED_ON}; fitted on 2 of 3")):
        arm = ArmRows(config(methods=["random"]), tissue, {**record, "pretrained_on": seen})
        assert arm.measured(Domain(), "donor", result).note == note
