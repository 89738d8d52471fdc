"""The peers: each keeps the contract where its package is installed, and gives what the package gives by hand."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
import pytest
from anndata import AnnData

from baselines.peers.novae import advised_hops
from baselines.peers.package import Package
from benchmark.core.contracts import offer
from benchmark.core.environments import find_environment
from benchmark.core.errors import UnitBenchError
from benchmark.core.registry import make, plugins
from benchmark.data.components import components
from benchmark.data.gene_selection import top_dispersion
from benchmark.data.normalisation import normalised
from benchmark.data.shown import shown
from benchmark.testing import MethodChecks
from benchmark.testing.tissue import tissue as kit_tissue
from benchmark.training.budget import Budget
from tests.helpers.paths import ROOT

PEERS = {"graphpca": "GraphPCA", "cellcharter": "cellcharter", "novae": "novae", "stagate": "STAGATE_pyG"}
needs = {
    name: pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed (extra `peers`)")
    for name, module in PEERS.items()
}


@needs["graphpca"]
class TestGraphPCA(MethodChecks):
    plugin = "graphpca"


@needs["cellcharter"]
class TestCellCharter(MethodChecks):
    plugin = "cellcharter"


@needs["novae"]
class TestNovae(MethodChecks):
    plugin = "novae"
    options: ClassVar = {"max_epochs": 1}


@needs["stagate"]
class TestStagate(MethodChecks):
    plugin = "stagate"
    options: ClassVar = {"epochs": 5}


@pytest.fixture(scope="module")
def split():
    """The training slides of the kit as methods are shown them, and the slide that is held out."""
    corpus = kit_tissue()
    return corpus.for_methods(corpus.names[:-1]), shown(corpus[corpus.names[-1]])


def fitted(name: str, corpus, **options):
    method = make("methods", name, options)
    method.fit(corpus, None, 0)
    return method


@needs["graphpca"]
def test_graphpca_is_the_package_called_by_hand(split):
    from GraphPCA.multigpca import Project_Multi_GPCA, Run_Multi_GPCA

    corpus, unseen = split
    scaling = components(corpus, 50, 2000, "slide_z", "moran").scaling
    train = [AnnData(scaling.values(slide)) for slide in corpus]
    places = [slide.obsm["position"] for slide in corpus]
    _, loadings = Run_Multi_GPCA(train, locations=places, n_components=20, n_neighbors=6, lambdas=2.0)
    expected = Project_Multi_GPCA(
        AnnData(scaling.values(unseen)), loadings, location=unseen.obsm["position"], n_neighbors=6, graph_lambda=2.0
    )
    found = fitted("graphpca", corpus, n_components=20).embed(unseen)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@needs["graphpca"]
def test_graphpca_without_smoothing_spans_the_plain_components_of_one_slide(split):
    """With λ 0 the embedding is X W with W orthonormal: what is left of X is what PCA leaves, by Eckart and Young."""
    corpus, _ = split
    one = corpus.subset(corpus.names[:1])
    (slide,) = one
    method = fitted("graphpca", one, n_components=3, smoothing=0.0)
    values = method.scaling.values(slide).astype(np.float64)
    values -= values.mean(axis=0)
    kept = np.square(method.embed(slide)).sum()
    best = np.square(np.linalg.svd(values, compute_uv=False)[:3]).sum()
    assert kept == pytest.approx(best, rel=0.02)  # the package stops after ten iterations


@needs["cellcharter"]
def test_cellcharter_is_the_package_called_by_hand(split):
    import cellcharter
    import squidpy

    corpus, unseen = split
    scores = components(corpus, 50, 2000, "slide_z", "moran").scores(unseen)
    spots = AnnData(obsm={"spatial": np.array(unseen.obsm["position"]), "X_pca": scores})
    spots.obs["slide"] = "one"
    spots.obs["slide"] = spots.obs["slide"].astype("category")
    squidpy.gr.spatial_neighbors(spots, library_key="slide", coord_type="generic", delaunay=True)
    cellcharter.gr.remove_long_links(spots)
    cellcharter.gr.aggregate_neighbors(spots, n_layers=3, use_rep="X_pca", sample_key="slide")
    found = fitted("cellcharter", corpus).embed(unseen)
    np.testing.assert_allclose(found, spots.obsm["X_cellcharter"], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[:, : scores.shape[1]], scores)  # the spot itself comes first
    assert fitted("cellcharter", corpus, layers=0).embed(unseen).shape == scores.shape


def test_an_absent_package_is_one_line_with_the_remedy():
    absent = Package("no-such-package", "MIT")
    assert str(absent) == "no-such-package, not installed (MIT)"
    with pytest.raises(UnitBenchError) as caught:
        absent.load("no_such_package")
    assert str(caught.value) == (
        "no-such-package: no module 'no_such_package' here; "
        "install it: python -m pip install -c constraints.txt -e '.[peers]'"
    )


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_can_be_made_without_its_package_and_runs_in_the_environment_of_the_peers(name):
    assert plugins("methods")[name].environment == "peers" and find_environment("peers").script.exists()
    method = make("methods", name, {})
    package, licence = method.software.rsplit(" (", 1)
    assert package.split()[0].strip(",") in (ROOT / "envs/peers.txt").read_text()
    assert licence in ("MIT)", "BSD-3-Clause)")


def test_the_environment_of_the_peers_has_the_versions_that_are_pinned():
    pins = [line for line in (ROOT / "envs/peers.txt").read_text().splitlines() if not line.startswith("#")]
    assert pins and set(pins) <= set((ROOT / "constraints.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def trained(split):
    """Novae after one epoch, and its budget."""
    budget, method = Budget("flops", 0.0, "fp32"), make("methods", "novae", {"max_epochs": 1})
    method.fit(split[0], budget, 0)
    return method, budget


@needs["novae"]
def test_novae_reports_what_its_training_cost(trained):
    meter = trained[1].meter
    assert meter.steps == 2  # a batch of each of two slides
    assert meter.self_reported and meter.spots > 2 * 2 * 128
    # Each step goes forward and back through all but the table of genes, so 6 FLOPs a weight and node at the least.
    weights = sum(weight.numel() for weight in trained[0].model.encoder.parameters())
    assert meter.flops > 6 * weights


@needs["novae"]
def test_novae_reads_a_local_checkpoint_and_trains_no_more(split, trained, tmp_path):
    corpus, unseen = split
    trained[0].model.save_pretrained(tmp_path / "weights")
    budget, method = Budget("flops", 0.0, "fp32"), make("methods", "novae", {"checkpoint": str(tmp_path / "weights")})
    method.fit(corpus, budget, 1)
    assert budget.meter.steps == 0
    np.testing.assert_allclose(method.embed(unseen), trained[0].embed(unseen), atol=1e-5)


def test_novae_downloads_nothing(split, tmp_path):
    method = make("methods", "novae", {"checkpoint": "prism-oncology/novae-human-0"})
    with pytest.raises(UnitBenchError, match=r"novae-human-0: no file config\.json; give a local folder"):
        method.check(split[0])


@pytest.mark.parametrize(("kinds", "hops"), [(("hex", "hex"), 1), (("square",), 1), (("hex", "binned"), 2)])
def test_novae_looks_farther_where_a_slide_has_cells(kinds, hops):
    slides = [AnnData(np.zeros((1, 1)), uns={"lattice": {"kind": kind}}) for kind in kinds]
    assert advised_hops(slides) == hops


@needs["stagate"]
def test_stagate_is_the_package_called_by_hand(split):
    import STAGATE_pyG

    corpus, unseen = split
    chosen = top_dispersion(corpus, 3000)
    spots = AnnData(normalised(unseen)[:, chosen], obs=unseen.obs[[]].copy())
    spots.obsm["spatial"] = np.array(unseen.obsm["position"])
    STAGATE_pyG.Cal_Spatial_Net(spots, k_cutoff=6, model="KNN", verbose=False)
    STAGATE_pyG.train_STAGATE(spots, n_epochs=3, random_seed=0, verbose=False)
    np.testing.assert_array_equal(fitted("stagate", corpus, epochs=3).embed(unseen), spots.obsm["STAGATE"])


def test_peers_say_whether_they_see_the_scored_slide_and_whether_compute_is_matched():
    said = {
        name: (offer(made := make("methods", name, {}), "transductive"), offer(made, "reference")) for name in PEERS
    }
    assert said == {
        "graphpca": (False, ""),  # no gradients, and no budget, like PCA
        "cellcharter": (False, ""),
        "novae": (False, "not compute-matched"),
        "stagate": (True, "transductive: trained on the slide that is scored, not compute-matched"),
    }


@needs["novae"]
@needs["stagate"]
def test_the_packages_leave_torch_as_it_is():
    """In a process of its own, which has imported none of them yet. PyTorch Geometric replaces two functions."""
    code = """
        import torch

        from baselines.peers import novae, stagate
        from benchmark.core.state import changed, state

        before, select = state(), torch.index_select
        novae.PACKAGE.load("novae")
        stagate.PACKAGE.load("STAGATE_pyG")
        assert not changed(before), changed(before)
        assert torch.index_select is select
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)
