"""What all tests share: one thread, no deadlines, a small simulated tissue, and a trunk that trains in an instant."""

import os

# Before any library reads it: arms are forked, and threads do not survive that.
os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"}

import pytest
import torch
from hypothesis import settings

from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.model.trunk import PRESETS, Preset

settings.register_profile("unitbench", deadline=None)
settings.load_profile("unitbench")
torch.set_num_threads(1)

SLOWEST = ("test_workflow", "test_spatia_science", "test_science", "test_plugins")


def pytest_collection_modifyitems(items):
    """The slowest files first, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.stem not in SLOWEST)


@pytest.fixture(scope="session")
def tissue(tmp_path_factory):
    """A corpus of 3 donors with 2 slides each, about 137 spots and 40 genes a slide."""
    data = Simulated(n_donors=3, shape=(12, 12), n_genes=40, depth=200, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("tissue"), data.record())


@pytest.fixture(scope="module")
def micro_trunk():
    """The preset "micro", and steps as small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=2, learning_rate=1e-3))
        patch.setattr("benchmark.training.loop.TOKENS_PER_STEP", 64)
        yield
