"""Diffusion, flow and pairs: endpoints, exact oracles, other implementations, and a gradient for every loss term."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from benchmark.core.errors import UnitBenchError
from benchmark.data.tiles import View, cut
from benchmark.datasets.simulated import Simulated
from benchmark.metrics.morphology import haematoxylin as by_skimage
from benchmark.metrics.morphology import morphology, threshold
from benchmark.model.trunk import Preset
from methods.generation import diffusion, flow
from methods.generation.decoder import Decoder, Expression
from methods.generation.modules import Diffusion, Flow, to_bytes, unit_range
from methods.generation.morphology import haematoxylin, soft_morphology
from methods.generation.pairs import effective_sample_size, many_to_one, pairs, transport, weights

SMALL = Preset(d=16, layers=1, heads=2, learning_rate=1e-3)


def images(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# Diffusion


def test_noising_begins_at_the_image_and_ends_at_the_noise():
    x, noise = images(3), images(3, 1)
    torch.testing.assert_close(diffusion.noised(x, noise, torch.zeros(3))[0], x)
    torch.testing.assert_close(diffusion.noised(x, noise, torch.ones(3))[0], noise)


@given(st.floats(0.01, 0.99))
def test_image_and_noise_follow_from_v(t):
    x, noise = images(1), images(1, 1)
    noised, v = diffusion.noised(x, noise, torch.tensor([t]))
    phi = t * math.pi / 2
    torch.testing.assert_close(math.cos(phi) * noised - math.sin(phi) * v, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 7])
def test_sampling_with_the_true_v_of_one_image_ends_at_that_image(steps):
    x = images(1)

    def field(noised, t):
        phi = (t * math.pi / 2).view(-1, 1, 1, 1)
        return (phi.cos() * noised - x) / phi.sin()

    torch.testing.assert_close(diffusion.sample(field, images(4, 1), steps), x.expand(4, -1, -1, -1), atol=1e-4, rtol=0)


# Flow


def test_the_path_leads_from_the_control_to_the_target_at_constant_velocity():
    a, b = images(3), images(3, 1)
    assert torch.equal(flow.on_path(a, b, torch.zeros(3))[0], a)
    torch.testing.assert_close(flow.on_path(a, b, torch.ones(3))[0], b)
    t = torch.tensor([0.1, 0.5, 0.9])
    x, velocity = flow.on_path(a, b, t)
    torch.testing.assert_close(flow.endpoint(x, velocity, t), b)


def test_sampling_along_the_true_velocity_ends_at_the_target():
    a, b = images(2), images(2, 1)
    torch.testing.assert_close(flow.sample(lambda x, t: b - a, a, 3), b)


def test_the_midpoint_rule_is_of_second_order():
    start = torch.ones(1, 1, 1, 1)
    off = [abs(flow.sample(lambda x, t: x, start, n).item() - math.e) for n in (10, 20)]
    assert off[0] / off[1] == pytest.approx(4, rel=0.15)


def test_weights_scale_each_pairs_error():
    velocity, truth = images(2), images(2, 1)
    alone = [((velocity[i] - truth[i]) ** 2).mean() for i in range(2)]
    loss = flow.matching(velocity, truth, torch.tensor([0.5, 1.5]))
    torch.testing.assert_close(loss, (0.5 * alone[0] + 1.5 * alone[1]) / 2)


def test_contrast_is_the_margin_where_the_condition_is_ignored_and_zero_where_it_helps_enough():
    truth, velocity = images(2), images(2, 1)
    assert flow.contrast(velocity, velocity, truth).item() == pytest.approx(flow.MARGIN)
    assert flow.contrast(truth, truth + 1, truth).item() == 0
    assert flow.contrast(truth + 1, truth, truth).item() == pytest.approx(1 + flow.MARGIN)


@given(st.integers(2, 20), st.integers(0, 100))
def test_sliced_wasserstein_is_zero_for_equal_sets_and_agrees_with_pot(n, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    directions = torch.nn.functional.normalize(torch.randn(3, 9, generator=generator, dtype=torch.float64), dim=0)
    assert flow.sliced_wasserstein(a, a[torch.randperm(n, generator=generator)], directions) == pytest.approx(0)
    expected = ot.sliced_wasserstein_distance(a.numpy(), b.numpy(), projections=directions.numpy(), p=1)
    assert flow.sliced_wasserstein(a, b, directions).item() == pytest.approx(expected)


# The modules


def batch(n: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = {
        name: torch.randint(256, (n, 8, 8, 3), generator=generator, dtype=torch.uint8) for name in ("image", "control")
    }
    values = {name: torch.randn(n, 5, generator=generator) for name in ("values", "wrong")}
    return pixels | values | {"weight": torch.ones(n)}


def decoder(removed: bool = False) -> Decoder:
    torch.manual_seed(0)
    return Decoder(Expression(torch.zeros(5), torch.ones(5), SMALL.d, removed), SMALL, pixels=8, patch=2)


def modules(**losses) -> dict[str, torch.nn.Module]:
    return {
        "diffusion": Diffusion(decoder(), 4),
        "flow": Flow(decoder(), 4, 0.05, torch.ones(7), **losses),
    }


@pytest.mark.parametrize("name", ["diffusion", "flow"])
def test_the_loss_has_a_gradient_in_every_parameter_and_in_the_expression(name):
    module, inputs = modules(contrast=0.1, morphology=0.1)[name], batch()
    inputs["values"].requires_grad_()
    module(inputs, *module.draw_hidden(inputs, torch.Generator().manual_seed(0))).backward()
    assert inputs["values"].grad.abs().min() > 0
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("term", ["matching", "contrast", "morphology"])
def test_each_term_that_has_a_weight_has_a_gradient_of_its_own(term):
    module, inputs = modules(contrast=0.1, morphology=0.1)["flow"], batch()
    terms = module.terms(inputs, *module.draw_hidden(inputs, torch.Generator().manual_seed(0)))
    assert set(terms) == {"matching", "contrast", "morphology"}
    terms[term].backward()
    assert module.decoder.last.weight.grad.abs().sum() > 0


def test_terms_of_weight_zero_are_absent():
    module, inputs = modules()["flow"], batch()
    assert set(module.terms(inputs, *module.draw_hidden(inputs, torch.Generator()))) == {"matching"}


def test_a_removed_condition_leaves_nothing_of_the_expression():
    net = decoder(removed=True)
    x, t, pick = torch.randn(2, 3, 8, 8), torch.rand(2), torch.empty(0, dtype=torch.long)
    assert torch.equal(net(x, t, torch.randn(2, 5), pick), net(x, t, torch.randn(2, 5), pick))


def test_bytes_are_unchanged_by_the_way_to_floats_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(to_bytes(unit_range(levels)), levels)


# Pairs


def clouds(n: int, m: int, seed: int = 0, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.5


def test_the_plan_has_uniform_marginals_and_its_pairs_cost_little_more_than_the_exact_ones():
    a, b = clouds(12, 12)
    plan = transport(a, b)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / 12, rtol=0.01)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 12, rtol=0.01)
    cost = ot.dist(a, b, metric="euclidean")
    exact = (ot.emd(np.full(12, 1 / 12), np.full(12, 1 / 12), cost) * cost).sum()
    assert exact <= (plan * cost).sum() <= 1.1 * exact


def test_with_well_separated_pairs_the_plan_is_the_exact_one():
    a = 10 * np.eye(6)
    b = a[::-1] + 0.1
    uniform = np.full(6, 1 / 6)
    exact = ot.emd(uniform, uniform, ot.dist(a, b, metric="euclidean"))
    pairing = pairs(transport(a, b))
    np.testing.assert_array_equal(pairing.target, exact.argmax(axis=1))
    np.testing.assert_allclose(pairing.confidence, 1, atol=1e-4)


def test_the_plan_does_not_depend_on_the_scale_of_expression():
    a, b = clouds(9, 11)
    np.testing.assert_allclose(transport(a, b), transport(100 * a, 100 * b), rtol=1e-6, atol=1e-12)


def test_confidence_does_not_depend_on_the_size_of_the_group():
    """Each control has one near target, and all others are far away: the confidence is the same among 10 and 80."""
    for n in (10, 80):
        a = 10 * np.eye(n)
        assert pairs(transport(a, a + 0.01)).confidence.mean() == pytest.approx(1, abs=1e-3)
    plan = np.array([[3.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(pairs(plan).confidence, pairs(plan / 1000).confidence)
    np.testing.assert_allclose(pairs(plan).confidence, [0.75, 0.5])


def test_four_spots_are_too_few_for_a_state():
    with pytest.raises(UnitBenchError, match="at least 5"):
        transport(*clouds(4, 9))


def test_what_pairs_are_worth():
    assert effective_sample_size(np.ones(7)) == 1
    assert effective_sample_size(np.array([1.0, 0, 0, 0])) == 0.25
    assert many_to_one(np.array([0, 1, 1, 2])) == 0.5
    np.testing.assert_allclose(weights(np.array([0.1, 0.3])), [0.5, 1.5])


# Morphology with a gradient


@pytest.fixture(scope="module")
def tiles():
    slide = next(Simulated(n_donors=1, slides_per_donor=1, shape=(12, 12), n_genes=20).slides())
    return cut(slide, View(100, 32))


def test_the_stain_is_that_of_scikit_image(tiles):
    np.testing.assert_allclose(haematoxylin(unit_range(torch.from_numpy(tiles))), by_skimage(tiles), atol=1e-4)


def test_soft_morphology_rises_with_what_is_counted(tiles):
    cut_at = threshold(tiles)
    hard, soft = morphology(tiles, cut_at), soft_morphology(unit_range(torch.from_numpy(tiles)), cut_at).numpy()
    for soft_column, hard_column in ((0, 1), (2, 8)):  # nuclear share, stain
        assert spearmanr(soft[:, soft_column], hard[:, hard_column]).statistic > 0.8
