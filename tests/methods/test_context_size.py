"""The tokens of slides with different panels, and of a corpus too large to be held: computed as they are asked for."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.normalisation import normalised
from benchmark.data.patches import PATCH, in_patches
from benchmark.data.prepare import write_corpus
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training.budget import Budget
from benchmark.training.loop import tensors
from methods.context import tokens
from methods.context.computed import Computed
from methods.context.expressed import expressed
from methods.context.method import Context
from methods.context.model import ContextModel
from methods.context.unit import ContextUnit
from tests.helpers.hand_made import slide_at

CELLS = np.argwhere(np.ones((6, 6)))
OBJECTIVES = ("expression", "negative_binomial")


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=4, learning_rate=1e-3))


@pytest.fixture
def panels(tmp_path):
    """A slide with twelve genes, and one that measured four of them and four of its own."""
    whole, part = slide_at(CELLS, 0, "whole"), slide_at(CELLS, 1, "part")
    part = part[:, [1, 4, 7, 10, 0, 2, 3, 5]].copy()
    part.var_names = ["gene1", "gene4", "gene7", "gene10", "own0", "own1", "own2", "own3"]
    return write_corpus([whole, part], tmp_path, {}).for_methods(["whole", "part"])


@pytest.fixture
def large(tissue, monkeypatch):
    """The tissue, where as many spots as one of its slides has are too many to be held."""
    for module in ("benchmark.data.components", "methods.context.tokens", "methods.context.expressed"):
        monkeypatch.setattr(f"{module}.MOST", 100)
    monkeypatch.setattr("benchmark.data.patches.PATCH", 10)
    yield tissue.for_methods(tissue.names)
    for cached in (tokens.components, tokens.fit, expressed):
        cached.cache_clear()


def drawn(corpus, objective, n_genes=40):
    """The tokeniser, a model, and a batch of a unit."""
    tokeniser, parts = tokens.fit(corpus, "slide_z", n_genes)
    asked = expressed(corpus, tokeniser, objective)
    model = ContextModel(tokeniser.n_components, PRESETS["micro"], objective, asked=asked)
    return tokeniser, model, ContextUnit.of(corpus, 4, 16, parts, asked).draw(corpus, 8, np.random.default_rng(0))


@pytest.mark.parametrize("normalisation", ("slide_z", "log"))
def test_a_gene_that_was_not_measured_adds_nothing_to_a_score(panels, normalisation):
    tokeniser, _ = tokens.fit(panels, normalisation, 16)
    scaling, pca = tokeniser.components.scaling, tokeniser.components.pca
    assert sorted(scaling.genes) == list(range(16))
    for slide in panels:
        has = slide.var["measured"].to_numpy()[scaling.genes]
        assert sorted(np.unique(has)) == [False, True]
        scaled = scaling.values(slide)
        assert not scaled[:, ~has].any() and scaled[:, has].any(axis=0).all()
        scores = (scaled[:, has] @ pca.components_[:, has].T - pca.mean_ @ pca.components_.T) / tokeniser.scale
        np.testing.assert_allclose(tokeniser.scores(slide), scores, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_gene_that_was_not_measured_is_no_target(panels, objective):
    tokeniser, model, samples = drawn(panels, objective, 16)
    genes, batch = tokeniser.components.scaling.genes, tensors(samples)
    names = np.array(panels.names)[(samples.spot[:, 0] >= len(CELLS)).astype(int)]
    for name, measured in zip(names, samples.measured, strict=True):
        np.testing.assert_array_equal(measured, panels.measured(name)[genes])
    values = batch["values"].requires_grad_()
    model(batch | {"values": values}, *model.draw_hidden(batch, torch.Generator().manual_seed(0))).backward()
    unmeasured = ~batch["measured"][:, None].expand_as(values)
    assert not values.grad[unmeasured].any() and values.grad[~unmeasured].any()


def test_the_share_of_a_gene_is_of_the_spots_on_which_it_was_measured(panels):
    tokeniser, model, _ = drawn(panels, "negative_binomial", 16)
    part, whole = (slide.X.toarray().astype(float) for slide in (panels["part"], panels["whole"]))
    for gene, share in zip(tokeniser.components.scaling.genes, model.beside[0].share.tolist(), strict=True):
        on = [counts for name, counts in (("part", part), ("whole", whole)) if panels.measured(name)[gene]]
        assert share == pytest.approx(sum(c[:, gene].sum() for c in on) / sum(c.sum() for c in on), rel=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_large_corpus_gives_the_samples_of_one_that_is_held(large, objective):
    tokeniser, _, samples = drawn(large, objective)
    assert isinstance(tokens.fit(large, "slide_z", 40)[1][0], Computed)
    scaling, offset = tokeniser.components.scaling, 0
    of_all = {"parts": [], "values": []}
    for slide in large:
        everything = np.arange(slide.n_obs)
        of_all["parts"].append(tokeniser.parts(slide)[everything])
        counts = slide.X[:, scaling.genes].toarray()
        of_all["values"].append(scaling.values(slide) if objective == "expression" else counts)
        offset += slide.n_obs
    for name, of_slides in of_all.items():
        expected = np.concatenate(of_slides)[samples.spot]
        np.testing.assert_allclose(getattr(samples, name)[samples.valid], expected[samples.valid], atol=1e-5)


def test_of_a_large_corpus_the_tokens_are_fitted_on_a_part(large):
    part = large.thinned(100)
    assert 0 < sum(slide.n_obs for slide in part) <= 110 < large.n_spots == part.n_spots
    found = tokens.fit(large, "log", 40)[0].components
    values = np.concatenate([normalised(slide).toarray() for slide in part])[:, found.scaling.genes]
    np.testing.assert_allclose(found.scaling.mean, values.mean(axis=0), atol=1e-5)
    assert large.thinned(large.n_spots) is large


def test_a_method_trains_and_embeds_on_a_large_corpus(large):
    method, slide = Context(side=4, preset="micro"), large[large.names[0]]
    method.fit(large, Budget("flops", 2e9), 0)
    assert np.isfinite(method.embed(slide)).all() and method.embed(slide).shape == (slide.n_obs, 16)
    assert method.learned(slide).keys() >= {"r2", "r2_kriging"}


@given(st.integers(1, 5000), st.floats(0.01, 1.0))
def test_patches_are_a_share_of_the_spots_each_of_which_keeps_its_neighbours(n, share):
    position = np.random.default_rng(n).random((n, 2))
    spots = in_patches(position, share)
    assert len(set(spots)) == len(spots) and 1 <= len(spots) <= share * n + PATCH / 2
    assert (np.diff(spots) > 0).all() and spots[-1] < n


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_unit_of_a_large_corpus_draws_the_same_in_another_process(large, objective):
    tokeniser, parts = tokens.fit(large, "slide_z", 40)
    unit = ContextUnit.of(large, 4, 16, parts, expressed(large, tokeniser, objective))
    sent = pickle.loads(pickle.dumps(unit))
    one, other = (of.draw(large, 8, np.random.default_rng(0)) for of in (unit, sent))
    for name in one.inputs:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
