"""The method `context`: samples of every side, two views that share nothing, and no word of what is hidden."""

from typing import get_args

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist

from baselines.pca import PCA
from benchmark.core.errors import UnitBenchError
from benchmark.data.components import RULES, Genes
from benchmark.data.normalisation import normalised
from benchmark.model.trunk import PRESETS, Preset
from benchmark.training.budget import Budget
from benchmark.training.flops import count_flops
from benchmark.training.loop import samples_per_step, tensors
from benchmark.training.made_up import MadeUp
from benchmark.units.expression import field, fields
from methods.context import tokens
from methods.context.explained import Explained, untaught
from methods.context.method import Context
from methods.context.model import SIGMAS, UNSEEN, ContextModel, around, attention_bias, views
from methods.context.objectives import Objective
from methods.context.samples import samples, thinned
from methods.context.unit import ContextUnit, cover
from tests.helpers.hand_made import slide_at

SIDES = (1, 2, 4, 8, "slide")
each_side = pytest.mark.parametrize("side", SIDES)
P, GROUPS = 5, tokens.GROUPS
cells = st.integers(2, 30).flatmap(lambda n: arrays(np.int64, (n, 2), elements=st.integers(0, 9)))


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", Preset(d=16, layers=1, heads=4, learning_rate=1e-3))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ContextModel(P, PRESETS["micro"]).eval()


def drawn(tissue, side, n=6, seed=0):
    """The unit, and some of its samples of made-up parts."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(slide.n_obs, GROUPS, P)).astype(np.float32) for slide in tissue]
    unit = ContextUnit.of(tissue, side, 16, parts)
    return unit, unit.draw(tissue, n, np.random.default_rng(seed))


def hidden_of(batch, seed=0, hidden=0.5):
    model = ContextModel(P, PRESETS["micro"], hidden=hidden)
    return model.draw_hidden(batch, torch.Generator().manual_seed(seed))


# Samples


@pytest.mark.parametrize("side", (2, 4, 8))
def test_a_crop_holds_the_spots_of_its_square(tissue, side):
    slides = fields(tissue)
    unit, batch = drawn(tissue, side, 20)
    for spots in batch.spot:
        spots = spots[spots >= 0]
        number = sum(slide.offset <= spots[0] for slide in slides) - 1
        slide = slides[number]
        cell = slide.lattice[spots - slide.offset]
        assert len(spots) >= side**2 / 4
        held = [  # by each square that has them all
            set(np.flatnonzero(((slide.lattice >= start) & (slide.lattice < start + side)).all(axis=1)))
            for start in unit.starts[number]
            if ((cell >= start) & (cell < start + side)).all()
        ]
        assert set(spots - slide.offset) in held


def test_a_sample_of_side_1_is_one_spot_and_one_of_the_slide_is_all_of_it(tissue):
    assert drawn(tissue, 1)[1].valid.shape == (6, 1)
    sizes = {slide.n_spots for slide in fields(tissue)}
    assert {int(n) for n in drawn(tissue, "slide")[1].valid.sum(axis=1)} <= sizes


def test_a_sample_that_is_too_large_shows_other_spots_each_time_and_none_twice():
    spots = np.concatenate([np.arange(20), np.full(4, -1)])[None]
    rng = np.random.default_rng(0)
    shown = [thinned(spots, 8, rng) for _ in range(50)]
    assert all(s.shape == (1, 8) and len(set(s[0])) == 8 and (s >= 0).all() for s in shown)
    assert set(np.concatenate(shown, axis=1)[0]) == set(range(20))


@given(cells, st.sampled_from((1, 2, 4, 8, "slide")), st.sampled_from((1, 4, 16)), st.integers(20, 200))
def test_every_spot_is_read_in_as_many_samples(cell, side, passes, at_once):
    slide = field(slide_at(cell - cell.min(axis=0)))
    read = np.concatenate([spots[spots >= 0] for spots in cover(slide, side, passes, at_once)])
    n = 1 if side in (1, "slide") else min(side**2, passes)
    assert np.bincount(read, minlength=slide.n_spots).tolist() == [n] * slide.n_spots


def test_a_step_costs_about_the_same_for_every_side():
    corpus, preset, cost = MadeUp(n_slides=1, side=40, n_genes=20), PRESETS["tiny"], []
    module = ContextModel(50, preset)
    for side in (1, 2, 4, 8, 16, 32, "slide"):
        unit = ContextUnit.of(corpus, side, preset.d, [np.zeros((corpus.n_spots, GROUPS, 50), np.float32)])
        n = samples_per_step(unit, corpus)
        batch = tensors(unit.draw(corpus, n, np.random.default_rng(0)))
        cost.append(count_flops(module, batch, *hidden_of(batch)))
    assert max(cost) < 1.1 * min(cost)


def test_a_side_that_no_slide_can_fill_is_refused(tissue):
    with pytest.raises(UnitBenchError, match="no crop of 32 × 32 cells holds 256 spots"):
        Context(side=32, preset="micro").check(tissue)


# Views


@each_side
@pytest.mark.parametrize("share", (0, 0.25, 0.5))
def test_the_views_share_no_group_of_genes_and_hide_different_spots(tissue, side, share):
    _, batch = drawn(tissue, side, 40)
    batch = tensors(batch)
    mine, a, b = hidden_of(batch, hidden=share)
    assert (mine.sum(dim=1) == GROUPS // 2).all()
    assert not (a & b).any() and not ((a | b) & ~batch["valid"]).any()
    lost = (batch["valid"].sum(dim=1) * share).long()  # rounded down
    assert torch.equal(a.sum(dim=1), lost) and torch.equal(b.sum(dim=1), lost)
    assert side != 1 or not (a | b).any()


def test_a_view_is_twice_the_sum_of_its_groups():
    parts = torch.randn(2, 3, GROUPS, P)
    mine = torch.arange(GROUPS)[None].expand(2, -1) % 2 == 0
    a, b = views(parts, mine)
    torch.testing.assert_close(a, 2 * parts[:, :, ::2].sum(dim=2))
    torch.testing.assert_close(b, 2 * parts[:, :, 1::2].sum(dim=2))
    torch.testing.assert_close((a + b) / 2, parts.sum(dim=2))


@each_side
def test_nothing_that_a_view_hides_reaches_its_vectors(tissue, side, model):
    batch = tensors(drawn(tissue, side)[1])
    mine, hidden, _ = hidden_of(batch)
    before = model.encode(views(batch["parts"], mine)[0], hidden, batch)
    other = batch["parts"] + 10 * hidden[:, :, None, None]  # the hidden spots, all genes
    other = other - 5 * ~mine[:, None, :, None]  # and the genes of the other view, all spots
    torch.testing.assert_close(model.encode(views(other, mine)[0], hidden, batch), before, rtol=0, atol=1e-6)


def test_padding_changes_no_vector_and_no_loss(tissue, model):
    parts = np.random.default_rng(0).normal(size=(tissue.n_spots, GROUPS, P)).astype(np.float32)
    position = np.concatenate([slide.position for slide in fields(tissue)])
    spots = np.arange(10)[None]
    plain, wide = (
        tensors(samples(parts, position, np.pad(spots, ((0, 0), (0, k)), constant_values=-1))) for k in (0, 6)
    )
    mine, a, b = hidden_of(plain)
    padded_a, padded_b = (torch.nn.functional.pad(hidden, (0, 6)) for hidden in (a, b))
    torch.testing.assert_close(
        model.embed(wide, torch.zeros_like(wide["valid"]))[:, :10], model.embed(plain, torch.zeros_like(plain["valid"]))
    )
    torch.testing.assert_close(model(wide, mine, padded_a, padded_b), model(plain, mine, a, b))


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
