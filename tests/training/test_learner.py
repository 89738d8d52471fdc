"""Units as methods: embeddings that repeat, reconstructions that see no hidden count, one trunk drawn by its seed."""

import numpy as np
import pytest
import scipy.sparse as sp

from baselines.spot_genes import SpotGenes
from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training import learner as learner_module
from benchmark.training.budget import Budget
from benchmark.training.learner import some_donors
from methods.patch.method import Patch
from methods.patch.released import PatchReleased


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=2, heads=2, learning_rate=1e-3))


def patch(size=4, **options):
    return lambda: Patch(size=size, n_channels=16, preset="micro", **options)


VARIANTS = {
    "centre": patch(embed="centre"),
    "tiles": patch(embed="tiles"),
    "self": patch(embed="self"),
    "whole slide": patch(embed="slide"),
    "released lattice": patch(size=40, lattice="released", min_occupancy=0.01),
    "bag": patch(tokens="bag"),
    "panel": patch(channels="corpus_hvg"),
    "released": lambda: PatchReleased(size=40, n_channels=16, preset="micro"),
}
METHODS = {
    "spot_genes": lambda: SpotGenes(n_tokens=16, preset="micro"),
    "patch": lambda: Patch(size=4, n_channels=16, preset="micro"),
}
SPOTS = {"spot_genes": 2_000, "patch": 20_000}  # an amount of some tens of steps
by_name = pytest.mark.parametrize("name", METHODS)
by_variant = pytest.mark.parametrize("name", [*METHODS, *VARIANTS])


def untrained(name, corpus, seed=0):
    method = (METHODS | VARIANTS)[name]()
    method.fit(corpus, Budget("flops", 0), seed)
    return method


def with_counts(slide, rows: np.ndarray, counts: np.ndarray):
    """A copy of the slide with other counts in some spots."""
    copy = slide.copy()
    dense = copy.X.toarray()
    dense[rows] = counts
    copy.X = sp.csr_matrix(dense)
    return copy


@by_variant
def test_embeddings_repeat_to_the_bit_and_cover_every_spot(tissue, name):
    slide = tissue[tissue.names[0]]
    method = untrained(name, tissue)
    embedding = method.embed(slide)
    assert embedding.shape == (slide.n_obs, 16)
    assert np.isfinite(embedding).all() and embedding.any(axis=1).all()
    assert np.array_equal(method.embed(slide), embedding)
    assert np.array_equal(untrained(name, tissue).embed(slide), embedding)
    assert not np.array_equal(untrained(name, tissue, seed=1).embed(slide), embedding)


@pytest.mark.parametrize("name", [name for name in [*METHODS, *VARIANTS] if name != "released"])
def test_embeddings_do_not_depend_on_how_samples_are_batched(tissue, name, monkeypatch):
    slide = tissue[tissue.names[0]]
    method = untrained(name, tissue)
    together = method.embed(slide)
    monkeypatch.setattr(learner_module, "INFERENCE_TOKENS", 1)
    np.testing.assert_allclose(method.embed(slide), together, atol=1e-5)


def test_a_spot_is_embedded_without_its_slide(tissue):
    slide = tissue[tissue.names[0]]
    method = untrained("spot_genes", tissue)
    np.testing.assert_allclose(method.embed(slide[5:6]), method.embed(slide)[5:6], atol=1e-5)


@pytest.mark.parametrize("name", ["patch", "whole slide"])
def test_a_spot_is_embedded_with_its_neighbours(tissue, name):
    slide = tissue[tissue.names[0]]
    method = untrained(name, tissue)
    other = with_counts(slide, [0], slide.X[1].toarray()[:, ::-1])
    change = np.abs(method.embed(other) - method.embed(slide)).max(axis=1)
    reach = np.abs(slide.obsm["lattice"] - slide.obsm["lattice"][0]).max(axis=1)
    assert change[reach == 1].min() > 0
    if name == "patch":
        assert change[reach >= 4].max() < 1e-6


@by_variant
def test_spots_without_counts_do_not_break_an_embedding(tissue, name, monkeypatch):
    monkeypatch.setattr(learner_module, "INFERENCE_TOKENS", 1)
    slide = tissue[tissue.names[0]]
    empty = with_counts(slide, [0, slide.n_obs - 1], np.zeros(slide.n_vars))
    assert np.isfinite(untrained(name, tissue).embed(empty)).all()


@pytest.mark.parametrize("name", ["patch", *(name for name in VARIANTS if name not in ("released", "self"))])
def test_a_reconstruction_never_uses_what_it_predicts(tissue, name):
    slide = tissue[tissue.names[0]]
    hidden = (slide.obsm["lattice"] < 5).all(axis=1)
    method = untrained(name, tissue)
    predicted = method.reconstruct(slide, hidden)
    assert predicted.shape == slide.shape and np.isfinite(predicted).all()
    counts = np.random.default_rng(0).poisson(50, size=(hidden.sum(), slide.n_vars))
    altered = method.reconstruct(with_counts(slide, hidden, counts), hidden)
    np.testing.assert_array_equal(altered[hidden], predicted[hidden])
    nearby = with_counts(slide, ~hidden, slide.X[~hidden].toarray()[:, ::-1])
    assert not np.allclose(method.reconstruct(nearby, hidden)[hidden], predicted[hidden], atol=1e-4)


def test_a_spot_has_no_neighbours_to_be_reconstructed_from():
    assert METHODS["spot_genes"]().reconstruct is None


@by_name
def test_nothing_of_the_test_slides_enters_training(tissue, name, tmp_path):
    *train, test = tissue
    other = with_counts(test, np.arange(test.n_obs), test.X.toarray()[::-1, ::-1])
    twin = write_corpus([*train, other], tmp_path, {"name": "another test slide"})
    embeddings = []
    for corpus in (tissue, twin):
        method = METHODS[name]()
        method.fit(corpus.subset(tissue.names[:-1]), Budget("spots", SPOTS[name]), 0)
        embeddings.append(method.embed(train[0]))
    assert np.array_equal(*embeddings)


def test_an_unknown_preset_is_named_with_the_nearest(tissue):
    with pytest.raises(UnitBenchError, match="did you mean 'small'") as error:
        Patch(preset="smal").fit(tissue, Budget("flops", 0), 0)
    assert "\n" not in str(error.value)


def test_a_spot_read_alone_is_embedded_without_its_neighbours(tissue):
    slide = tissue[tissue.names[0]]
    method = untrained("self", tissue)
    other = with_counts(slide, [0], slide.X[1].toarray()[:, ::-1])
    change = np.abs(method.embed(other) - method.embed(slide)).max(axis=1)
    assert change[0] > 1e-3 and not change[1:].any()


@pytest.mark.slow
def test_the_released_code_predicts_the_same_for_every_hidden_spot_of_a_tile(tissue):
    # One tile holds the slide, as 40 of 101 cells would not: so a tile of 120.
    slide = tissue[tissue.names[0]]
    method = PatchReleased(size=120, n_channels=16, preset="micro")
    method.fit(tissue, Budget("flops", 0), 0)
    hidden = (slide.obsm["lattice"] < 5).all(axis=1)
    predicted = method.reconstruct(slide, hidden)[hidden]
    assert np.ptp(predicted, axis=0).max() < 1e-5
    corrected = untrained("patch", tissue).reconstruct(slide, hidden)[hidden]
    assert np.ptp(corrected, axis=0).max() > 1e-3


def test_a_share_of_the_donors_is_nested_and_whole(tissue):
    donor = tissue.table["donor"]
    kept = [set(some_donors(tissue, share, 0).names) for share in (0.1, 0.67, 1)]
    assert kept[0] < kept[1] < kept[2] == set(tissue.names)
    for names in kept:
        assert names == {slide for slide in tissue.names if donor[slide] in {donor[name] for name in names}}
    assert len({frozenset(some_donors(tissue, 0.1, seed).names) for seed in range(20)}) == 3
