"""What all tests share: one thread, no deadlines, and a small simulated tissue."""

import pytest
import torch
from hypothesis import settings

from benchmark.corpus import write_corpus
from benchmark.datasets.simulated import Simulated

settings.register_profile("unitbench", deadline=None)
settings.load_profile("unitbench")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tissue(tmp_path_factory):
    """A corpus of 3 donors with 2 slides each, about 137 spots and 40 genes a slide."""
    data = Simulated(n_donors=3, shape=(12, 12), n_genes=40, depth=200, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("tissue"), data.record())
