"""The objectives of `context`: their losses by outside formulas, and views that tell nothing of what is asked."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from benchmark.model.trunk import PRESETS, Preset
from benchmark.training.budget import Budget
from benchmark.training.loop import tensors
from methods.context import tokens
from methods.context.expressed import expressed
from methods.context.method import Context
from methods.context.model import ContextModel
from methods.context.objectives import (
    NegativeBinomial,
    Objective,
    ScaledExpression,
    Target,
    View,
    log_likelihood,
    target_of,
    vicreg,
)
from methods.context.unit import ContextUnit

each_objective = pytest.mark.parametrize("objective", get_args(Objective))
SIDES = (1, 4, "slide")


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=4, learning_rate=1e-3))


def made(tissue, objective, side=4, n=6):
    """A model of all 40 genes of the tissue, and a batch of its unit."""
    tokeniser, parts = tokens.fit(tissue, "slide_z", 40)
    asked = expressed(tissue, tokeniser, objective)
    torch.manual_seed(0)
    model = ContextModel(tokeniser.n_components, PRESETS["micro"], objective, asked=asked)
    samples = ContextUnit.of(tissue, side, 16, parts, asked).draw(tissue, n, np.random.default_rng(0))
    return model, tensors(samples), samples


def drawn(model, batch, seed=0):
    return model.draw_hidden(batch, torch.Generator().manual_seed(seed))


# VICReg


def vicreg_by_numpy(x, y):
    """The formula of the authors' code, on the rows of two matrices."""
    loss = 25 * ((x - y) ** 2).mean()
    for z in (x, y):
        covariance = np.cov(z, rowvar=False)
        deviation = np.sqrt(np.diag(covariance) + 1e-4)
        loss += 25 * np.maximum(0, 1 - deviation).mean() / 2
        loss += np.square(covariance - np.diag(np.diag(covariance))).sum() / z.shape[1]
    return loss


def test_vicreg_by_hand():
    """Two spots, two components: both views are (1, 0) and (-1, 0), the second view's are one more."""
    a = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    valid = torch.ones(1, 2, dtype=torch.bool)
    # The variances are 2 and 0: the first component spreads enough, the second lacks 1 - 0.01. Nothing covaries.
    apart = 25 * 0.99 / 2
    assert vicreg(a, a, valid).item() == pytest.approx(apart, rel=1e-5)
    assert vicreg(a, a + 1, valid).item() == pytest.approx(25 + apart, rel=1e-5)
    # Where the second component repeats the first, the covariance is 2, twice in each view: 2 · 2² / 2, of both views.
    alike = a[..., :1].expand(-1, -1, 2)
    assert vicreg(alike, alike, valid).item() == pytest.approx(8, rel=1e-5)


@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(3, 6))
def test_vicreg_is_the_plain_formula_over_the_valid_spots(seed, k, t):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, t, k))
    valid = rng.random((3, t)) < 0.7
    valid[0, :2] = True
    said = vicreg(torch.tensor(a), torch.tensor(b), torch.tensor(valid)).item()
    assert said == pytest.approx(vicreg_by_numpy(a[valid], b[valid]), rel=1e-5)


# Counts


@given(st.integers(0, 2**31))
def test_the_likelihood_of_counts_is_scipys(seed):
    rng = np.random.default_rng(seed)
    counts, mean, dispersion = rng.poisson(5, 20), rng.gamma(1, 5, 20) + 1e-3, rng.gamma(2, 2, 20) + 0.1
    said = log_likelihood(*(torch.tensor(value, dtype=torch.float64) for value in (counts, mean, dispersion)))
    expected = nbinom(dispersion, dispersion / (dispersion + mean)).logpmf(counts)
    np.testing.assert_allclose(said, expected, rtol=1e-6, atol=1e-9)


def test_a_head_of_zeros_says_the_genes_share_of_the_library(tissue):
    model, batch, samples = made(tissue, "negative_binomial")
    (term,) = model.beside
    assert isinstance(term, NegativeBinomial)
    counts = np.concatenate([slide.X.toarray() for slide in tissue])
    size = np.maximum(counts.sum(axis=1), 1)
    genes = tokens.fit(tissue, "slide_z", 40)[0].components.scaling.genes
    share = counts[:, genes].sum(axis=0) / size.sum()
    np.testing.assert_allclose(term.share, share, rtol=1e-5)
    asked = torch.arange(40)
    loss = term.loss(torch.zeros(*batch["values"].shape), batch["values"], batch["size"], asked)[batch["valid"]]
    spots = samples.spot[samples.valid]
    mean = size[spots, None] * share
    np.testing.assert_allclose(loss.detach(), -nbinom(1, 1 / (1 + mean)).logpmf(counts[spots][:, genes]), rtol=1e-4)


# What is asked


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("objective", ("expression", "negative_binomial"))
def test_values_are_asked_of_the_spots_and_genes_that_a_view_does_not_show_and_no_others(tissue, objective, side):
    """A change of one value changes the loss if and only if some view is asked for it."""
    model, batch, _ = made(tissue, objective, side, 2)
    (term,) = model.beside
    mine, hidden_a, hidden_b, (genes,) = drawn(model, batch)
    b, t = batch["valid"].shape
    vectors = torch.randn(b, t, 16)
    rng = np.random.default_rng(0)
    for view in (View(vectors, mine, hidden_a), View(vectors, ~mine, hidden_b)):

        def loss(values, view=view):
            return term((view, view), batch | {"values": values}, genes).item()

        before = loss(batch["values"])
        for _ in range(30):
            i, j, g = rng.integers(b), rng.integers(t), rng.integers(40)
            changed = batch["values"].clone()
            changed[i, j, g] += 50
            shown = view.mine[i, term.group[g]] and not view.hidden[i, j]
            assert (loss(changed) != before) == bool(batch["valid"][i, j] and not shown and (genes == g).any())


def test_a_step_asks_other_genes_each_time_and_none_twice(tissue, monkeypatch):
    monkeypatch.setattr("methods.context.model.GENES", 10)
    model, batch, _ = made(tissue, "expression")
    asked = [drawn(model, batch, seed)[3][0].tolist() for seed in range(40)]
    assert all(len(set(genes)) == 10 for genes in asked) and set().union(*asked) == set(range(40))
    assert [len(drawn(made(tissue, objective)[0], batch)) for objective in ("neighbourhood", "vicreg")] == [3, 3]


def test_scaled_values_are_those_of_the_tokens_and_counts_those_of_the_slides(tissue):
    tokeniser, _ = tokens.fit(tissue, "slide_z", 20)
    scaling = tokeniser.components.scaling
    for objective, of in (
        ("expression", scaling.values),
        ("neighbourhood+negative_binomial", lambda slide: slide.X[:, scaling.genes].toarray()),
    ):
        asked = expressed(tissue, tokeniser, objective)
        for of_slide, slide in zip(asked.slides, tissue, strict=True):
            np.testing.assert_allclose(of_slide.values, of(slide), atol=2e-6)
        np.testing.assert_array_equal(asked.group, tokeniser.group)
    assert expressed(tissue, tokeniser, "neighbourhood+vicreg") is None


def test_an_error_of_scaled_values_is_its_square(tissue):
    (term,) = made(tissue, "expression")[0].beside
    said, values = torch.randn(2, 1, 3, 5).unbind()
    assert isinstance(term, ScaledExpression)
    torch.testing.assert_close(term.loss(said, values, torch.ones(1, 3), torch.arange(5)), (said - values) ** 2)


# Training


def test_the_target_of_an_objective_is_the_one_it_names_or_the_neighbourhood():
    assert {objective: target_of(objective) for objective in get_args(Objective)} == {
        **{target: target for target in get_args(Target)},
        **dict.fromkeys(("expression", "vicreg", "negative_binomial"), "neighbourhood"),
        **dict.fromkeys(("neighbourhood+vicreg", "neighbourhood+negative_binomial"), "neighbourhood"),
    }


@pytest.mark.parametrize("objective", ("expression", "vicreg", "negative_binomial"))
def test_a_read_out_without_a_target_of_its_own_teaches_the_trunk_nothing(tissue, objective):
    model, batch, _ = made(tissue, objective)
    del model.beside[0]
    model(batch, *drawn(model, batch)).backward()
    assert model.head.weight.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in model.trunk.parameters()) and model.token.weight.grad is None


@each_objective
def test_objectives_begin_with_the_same_trunk(tissue, objective):
    plain, other = (made(tissue, name)[0].state_dict() for name in ("neighbourhood", objective))
    assert plain.keys() <= other.keys()
    assert all(torch.equal(other[name], tensor) for name, tensor in plain.items())


@each_objective
@pytest.mark.parametrize("side", SIDES)
def test_every_objective_lowers_its_loss_and_every_parameter_learns(tissue, objective, side):
    model, batch, _ = made(tissue, objective, side)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for _ in range(25):
        optimizer.zero_grad()
        losses.append(loss := model(batch, *drawn(model, batch)))
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert all(parameter.grad.abs().max() > 0 for name, parameter in model.named_parameters() if name != "missing")


@each_objective
def test_every_objective_spends_its_budget_and_is_told_apart_by_its_weights(tissue, objective, tmp_path):
    train, slide = tissue.subset(tissue.names[:4]), tissue[tissue.names[-1]]
    fitted, again = (Context(side=4, n_genes=30, preset="micro", objective=objective) for _ in range(2))
    budget = Budget("flops", 4e9)
    fitted.fit(train, budget, 0)
    again.fit(train, Budget("flops", 0), 0)
    assert budget.meter.fraction == pytest.approx(1, abs=0.02) and len(fitted.curve(slide)) == 4
    fitted.save(tmp_path / "weights.safetensors")
    again.load(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(again.embed(slide), fitted.embed(slide))
    assert again.learned(slide) == fitted.learned(slide)
