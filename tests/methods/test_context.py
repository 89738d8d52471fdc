"""The method `context`: what it learns by, what it has learned, and no word of what is hidden."""

from typing import get_args

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.distance import pdist

from baselines.pca import PCA
from benchmark.data.components import RULES, Genes
from benchmark.data.normalisation import normalised
from benchmark.model.trunk import PRESETS, UNSEEN, Preset
from benchmark.training.budget import Budget
from benchmark.training.loop import tensors
from methods.context import tokens
from methods.context.explained import Explained, untaught
from methods.context.method import Context
from methods.context.model import SIGMAS, ContextModel, around, attention_bias, views
from methods.context.objectives import Objective
from tests.helpers.dial import GROUPS, MICRO, SIDES, P, drawn, hidden_of

each_side = pytest.mark.parametrize("side", SIDES)


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", MICRO)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ContextModel(P, MICRO).eval()


# What is learned


def test_attention_prefers_near_spots_by_a_bias_of_each_head():
    position = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]])
    seen = torch.tensor([[True, True, False]])
    bias = attention_bias(position, seen, torch.tensor([1.0, 5.0]))
    never = UNSEEN
    # Minus the squared distance over 2 σ²: 25 from the first to the second. The third, which sees the others alone, has
    # 1 and 18 to them, of which the least is taken away.
    expected = [
        [[0, -12.5, never], [-12.5, 0, never], [0, -8.5, never]],
        [[0, -0.5, never], [-0.5, 0, never], [0, -0.34, never]],
    ]
    torch.testing.assert_close(bias, torch.tensor([expected]))


def test_the_nearest_spot_that_is_seen_has_no_bias_however_far_it_is():
    """A bias of minus thousands, as of padding, is a gradient that is not finite in bf16 on a GPU."""
    position = torch.tensor([[[0.0, 0.0], [80.0, 90.0], [81.0, 90.0]]])
    bias = attention_bias(position, torch.tensor([[False, True, True]]), torch.tensor([1.0]))
    assert bias[0, 0, :, 1:].amax(dim=-1).tolist() == [0, 0, 0]
    raw = torch.tensor([80.0**2 + 90**2, 81.0**2 + 90**2]) / -2
    torch.testing.assert_close(bias[0, 0, 0, 1:].softmax(dim=0), raw.softmax(dim=0))


def test_the_heads_of_a_trunk_share_the_reaches():
    assert ContextModel(P, Preset(16, 1, 4, 1e-3)).reach.tolist() == list(SIGMAS)
    assert ContextModel(P, Preset(16, 1, 8, 1e-3)).reach.tolist() == [1, 1, 2, 2, 4, 4, 100, 100]


def test_the_target_is_the_mean_over_the_spots_that_are_seen_nearby():
    position = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 9.0]]])
    scores = torch.tensor([[[1.0], [3.0], [8.0], [7.0]]])
    target, has = around(scores, position, torch.tensor([[True, False, True, False]]))
    assert target[0, :, 0].tolist() == [4.5, 4.5, 4.5, 0] and has[0].tolist() == [True, True, True, False]


def test_the_loss_of_a_zero_prediction_is_the_mean_square_of_the_target(model):
    """One spot alone: each view predicts the other half of its own genes."""
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    parts = torch.randn(4, 1, GROUPS, P)
    batch = {"parts": parts, "position": torch.zeros(4, 1, 2), "valid": torch.ones(4, 1, dtype=torch.bool)}
    mine, *hidden = hidden_of(batch)
    squares = [view.square().mean() for view in views(parts, mine)]
    torch.testing.assert_close(model(batch, mine, *hidden), sum(squares) / 2)


# The method


def test_tokens_are_the_scores_of_the_strong_pca_up_to_the_scale_of_each_component(tissue):
    found, parts = tokens.fit(tissue, "slide_z", 30)
    pca = PCA(n_genes=30, normalisation="slide_z", genes="moran")
    pca.fit(tissue, None, 0)
    scores = np.concatenate([pca.embed(slide) for slide in tissue])
    whole = np.concatenate(parts).sum(axis=1)
    np.testing.assert_allclose(whole * found.scale, scores, atol=1e-3)
    assert np.square(whole).mean() == pytest.approx(1, abs=1e-3)
    assert np.bincount(found.group, minlength=GROUPS).tolist() == [4, 4, 4, 4, 4, 4, 3, 3]


@pytest.mark.parametrize("genes", get_args(Genes))
def test_the_rule_of_the_tokens_is_the_one_asked_for(tissue, genes):
    method, slide = Context(side=4, n_genes=12, genes=genes, preset="micro"), tissue[tissue.names[-1]]
    method.fit(tissue, Budget("flops", 0), 0)
    np.testing.assert_array_equal(method.tokeniser.components.scaling.genes, RULES[genes](tissue, 12))
    found, parts = tokens.fit(tissue, "slide_z", 12, genes)
    assert method.tokeniser is found and method.learned(slide).keys() >= {"r2", "r2_own"}
    spots = np.array([[5, 0, 5], [7, 9, 0]])
    np.testing.assert_allclose(found.parts(slide)[spots], parts[-1][spots], atol=1e-6)
    np.testing.assert_allclose(found.scores(slide), parts[-1].sum(axis=1), atol=1e-5)


def test_the_untrained_control_begins_with_the_distances_of_the_tokens(tissue):
    method = Context(n_genes=12, preset="micro")
    method.fit(tissue, Budget("flops", 0), 0)
    scores = method.tokeniser.scores(tissue[tissue.names[0]])
    token = method.model.token(torch.from_numpy(scores)).detach()
    np.testing.assert_allclose(pdist(token), pdist(scores), rtol=1e-4, atol=1e-4)


@each_side
def test_a_method_that_is_read_from_its_file_embeds_as_before(tissue, side, tmp_path):
    slide, methods = tissue[tissue.names[-1]], []
    train = tissue.subset(tissue.names[:4])
    for amount in (2e9, 0):
        methods.append(Context(side=side, n_genes=30, preset="micro"))
        budget = Budget("flops", amount)
        methods[-1].fit(train, budget, 0)
    trained, again = methods
    before = again.embed(slide)
    trained.save(tmp_path / "weights.safetensors")
    again.load(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(again.embed(slide), trained.embed(slide))
    assert not np.allclose(before, trained.embed(slide))


def test_every_parameter_learns(tissue):
    batch = tensors(drawn(tissue, 4)[1])
    module = ContextModel(P, PRESETS["micro"])
    module(batch, *hidden_of(batch)).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in module.parameters())


def test_a_slide_is_read_alike_wherever_it_lies(tissue):
    """Only distances between spots are read."""
    slide = tissue[tissue.names[0]].copy()
    method = Context(side=4, n_genes=30, preset="micro")
    method.fit(tissue, Budget("flops", 0), 0)
    before = method.embed(slide)
    slide.obsm["position"] = slide.obsm["position"] + np.float32([64, -32])
    np.testing.assert_allclose(method.embed(slide), before, atol=1e-4)


@each_side
@pytest.mark.parametrize("objective", get_args(Objective))
def test_what_was_learned_is_told_beside_untaught_predictors(tissue, side, objective):
    method = Context(side=side, n_genes=30, preset="micro", objective=objective)
    method.fit(tissue.subset(tissue.names[:4]), Budget("flops", 0), 0)
    slide = tissue[tissue.names[-1]]
    said = method.learned(slide)
    assert said == method.learned(slide) and said.keys() == {"r2", "r2_own", "r2_neighbour_mean", "r2_kriging"}
    torch.nn.init.zeros_(method.model.head.weight)
    torch.nn.init.zeros_(method.model.head.bias)
    assert method.learned(slide)["r2"] == 0


def test_what_was_learned_is_told_at_some_points_of_the_way(tissue):
    """The last point but one of a training of twice as long is not the same, since the learning rate falls to zero."""
    method, slide = Context(side=4, n_genes=30, preset="micro"), tissue[tissue.names[-1]]
    budget = Budget("flops", 4e9)
    method.fit(tissue.subset(tissue.names[:4]), budget, 0)
    points = method.curve(slide)
    step = 4e9 / budget.meter.steps
    for point, share in zip(points, ContextModel.snapshots, strict=True):
        assert share * 4e9 <= point["flops"] < share * 4e9 + 2 * step
    assert len({point["r2"] for point in points} | {method.learned(slide)["r2"]}) == len(ContextModel.snapshots) + 1


def test_targets_by_hand(model):
    """Two spots, a pitch apart; view A hides the first and view B the second."""
    parts = torch.randn(1, 2, GROUPS, P)
    valid = torch.ones(1, 2, dtype=torch.bool)
    batch = {"parts": parts, "position": torch.tensor([[[0.0, 0], [0, 1]]]), "valid": valid}
    mine = torch.arange(GROUPS)[None] % 2 == 0
    hidden_a, hidden_b = torch.tensor([[True, False]]), torch.tensor([[False, True]])
    a, b = views(parts, mine)
    expected = {
        "neighbourhood": ([b[0, 0], b[0, 0]], [a[0, 1], a[0, 1]]),  # of two neighbours the other view sees one
        "spot": ([b[0, 0], None], [None, a[0, 1]]),
        "masked": ([*parts.sum(dim=2)[0]], [*parts.sum(dim=2)[0]]),
    }
    for model.target, by_view in expected.items():
        for (_, _, target, has), wanted in zip(model.asked(batch, mine, hidden_a, hidden_b), by_view, strict=True):
            assert has[0, :, 0].tolist() == [value is not None for value in wanted]
            for spot, value in enumerate(wanted):
                if value is not None:
                    torch.testing.assert_close(target[0, spot], value)


def asked_alike(value):
    """Nine spots of a square of which every gene group has the same part, so that what is asked is a multiple of what
    the neighbours say."""
    position = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)).expand(2, -1, -1)
    valid = torch.ones(2, 9, dtype=torch.bool)
    return {"parts": torch.full((2, 9, GROUPS, P), value), "position": position, "valid": valid}


def test_the_factor_of_an_untaught_predictor_is_that_of_the_training_slides(model):
    found, training, other = Explained(), Explained(), Explained()
    for explained, batch in ((found, asked_alike(0.5)), (training, asked_alike(2.0))):
        explained.add(model, batch, hidden_of(batch))
        explained.add_untaught(model, batch, hidden_of(batch))
    r2 = found.r2_untaught(training)
    assert r2["neighbour_mean"] == pytest.approx(1)
    assert r2["own"] == pytest.approx(5 / 9)  # 4 of 9 spots are hidden, and 0 is said of them
    other._own = {name: sums * torch.tensor([[4.0], [2.0]]) for name, sums in training._own.items()}  # twice the values
    halved = found.r2_untaught(other)["neighbour_mean"]  # the factor is 1/2: half of the target is left over
    assert halved == pytest.approx(1 - 0.25)


@pytest.mark.parametrize("noise", (0.5, 2.0))
def test_kriging_is_scikit_learns_gaussian_process(noise):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    rng = np.random.default_rng(0)
    position, scores, seen = rng.random((1, 12, 2)) * 4, rng.normal(size=(1, 12, 3)), rng.random((1, 12)) < 0.6
    said = dict(untaught(torch.tensor(scores), torch.tensor(position), torch.tensor(seen)))
    process = GaussianProcessRegressor(RBF(2.0, "fixed"), alpha=noise, optimizer=None)
    process.fit(position[seen], scores[seen])
    np.testing.assert_allclose(said[f"kriging 2.0 {noise}"][0], process.predict(position[0]), atol=1e-4)


# Hidden spots


@each_side
@pytest.mark.parametrize("normalisation", ("slide_z", "log"))
def test_what_is_said_of_a_hidden_spot_hangs_on_the_others_alone(tissue, side, normalisation):
    method, slide = Context(side=side, n_genes=12, preset="micro", normalisation=normalisation), tissue[tissue.names[0]]
    method.fit(tissue, Budget("flops", 0), 0)
    hidden = np.arange(slide.n_obs) % 3 == 0
    blind, other = slide.copy(), slide.copy()
    blind.X = sp.csr_matrix(np.where(hidden[:, None], 0, slide.X.toarray()))
    other.X = sp.csr_matrix(np.where(hidden[:, None], 7, slide.X.toarray()))
    said = method.reconstruct(blind, hidden)
    np.testing.assert_array_equal(method.reconstruct(other, hidden), said)
    assert not said[~hidden].any() and said[hidden].any(axis=1).all()
    left_out = np.setdiff1d(np.arange(slide.n_vars), method.tokeniser.components.scaling.genes)
    mean = np.asarray(normalised(slide[~hidden]).mean(axis=0)).ravel()[left_out]
    np.testing.assert_allclose(said[hidden][:, left_out], np.tile(mean, (hidden.sum(), 1)), rtol=1e-4)


def test_expression_comes_back_from_the_scores_of_all_components(tissue):
    found, _ = tokens.fit(tissue, "slide_z", 20)
    slide = tissue[tissue.names[0]]
    genes = found.components.scaling.genes
    back = found.expression(found.scores(slide), slide)[:, genes]
    values = normalised(slide)[:, genes].toarray()
    assert found.n_components == 19 and np.corrcoef(back.ravel(), values.ravel())[0, 1] > 0.99
