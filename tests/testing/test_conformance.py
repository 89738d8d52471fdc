"""The conformance kit: every built-in plugin passes it, and it catches what breaks the contract."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from benchmark.core.registry import plugins
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.testing.classes import CHECKS
from benchmark.testing.subject import Subject, run_checks
from tests.helpers.bad_samples import MAKE
from tests.helpers.paths import CONFIG
from tests.helpers.real import DATA

MICRO = {"preset": "micro"}
OPTIONS = {
    "patch": {"size": 4, "n_channels": 16} | MICRO,
    "patch_released": {"size": 20, "n_channels": 16} | MICRO,
    "spot_genes": {"n_tokens": 16} | MICRO,
    "context": {"side": 4} | MICRO,
    "scgpt": {"n_tokens": 16, "batch_size": 4} | MICRO,
    "scgpt_spatial": {"n_tokens": 16, "batch_size": 4, "window": 8, "neighbours": 3} | MICRO,
    "spatia": {"preset": "nano", "levels": "cell", "mae": False},
    "generator": {"pixels": 16, "samples_per_step": 8} | MICRO,
    "expression_from_image": {"n_genes": 5, "n_components": 8},
    "her2st": {"only": ["A1", "B1"]},
    "h5ad_folder": {"describe": str(CONFIG / "datasets/dlpfc.yaml")},
    "cosmx": {"describe": str(CONFIG / "datasets/cosmx_lung12_mini.yaml")},
    "merscope": {"describe": str(CONFIG / "datasets/merscope_brain_mini.yaml")},
    "xenium": {"describe": str(CONFIG / "datasets/xenium_mouse_brain.yaml")},
}
FROM_FILES = ("her2st", "h5ad_folder", "cosmx", "merscope", "xenium")
SLOW = ("patch_released", "scgpt", "scgpt_spatial", "spatia", "generator", "generation")
MADE = ("visium", "visium_hd", "spatialdata")  # of small folders
BUILT_IN = [
    pytest.param(
        kind,
        name,
        id=f"{kind}-{name}",
        marks=[
            pytest.mark.skipif(name in FROM_FILES and DATA is None, reason="real tissue not found: set UNITBENCH_DATA"),
            *[pytest.mark.slow] * (name in SLOW),
            pytest.mark.skipif(
                plugin.environment == "peers" and find_spec("novae") is None,
                reason="no extra `peers` here",
            ),
        ],
    )
    for kind in CHECKS
    for name, plugin in plugins(kind).items()
    if plugin.distribution == "unitbench"
]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Slides of which a square of 20 of the 140 released cells holds at least 10 spots."""
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(24, 24), n_genes=40, depth=200, image=False)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("large"), data.record())


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_every_built_in_plugin_keeps_its_contract(kind, name, micro_trunk, large, monkeypatch, tmp_path):
    if name in FROM_FILES:
        monkeypatch.setenv("UNITBENCH_DATA", str(DATA))
    options = {"describe": str(MAKE[name](tmp_path).dataset().describe)} if name in MADE else OPTIONS.get(name, {})
    subject = Subject(kind, name, options)
    if name == "patch_released":
        subject.corpus = large
    if name == "precomputed":
        subject.options = {"folder": str(tmp_path)}
        for slide in subject.corpus:
            np.savez(tmp_path / f"{slide.uns['slide']}.npz", slide.X[:, :8].toarray())
    outcomes = list(run_checks(subject, CHECKS[kind]))
    assert [outcome for outcome in outcomes if outcome.violated] == []
    assert len(outcomes) == len(CHECKS[kind])
