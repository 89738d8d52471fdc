"""Samples of `context` of every side, and their two views: they share nothing and tell nothing of what is hidden."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.core.errors import UnitBenchError
from benchmark.model.trunk import PRESETS
from benchmark.training.flops import count_flops
from benchmark.training.loop import samples_per_step, tensors
from benchmark.training.made_up import MadeUp
from benchmark.units.expression import field, fields
from methods.context.expressed import Expressed, OfSlide
from methods.context.method import Context
from methods.context.model import ContextModel, views
from methods.context.samples import samples, thinned
from methods.context.unit import MOST, ContextUnit, cover, step_of, work
from tests.helpers.dial import GROUPS, MICRO, SIDES, P, drawn, hidden_of
from tests.helpers.hand_made import slide_at

each_side = pytest.mark.parametrize("side", SIDES)
cells = st.integers(2, 30).flatmap(lambda n: arrays(np.int64, (n, 2), elements=st.integers(0, 9)))


@pytest.fixture(autouse=True)
def micro(monkeypatch):
    monkeypatch.setitem(PRESETS, "micro", MICRO)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ContextModel(P, MICRO).eval()


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


@pytest.mark.parametrize("objective", ("neighbourhood", "vicreg", "neighbourhood+negative_binomial"))
@pytest.mark.parametrize(("tissue_side", "sides"), [(40, (*SIDES, 16, 32)), (14, (*SIDES, 16))])
def test_a_step_costs_about_the_same_for_every_side(tissue_side, sides, objective):
    """On a slide that fills the largest samples, and on one of 196 spots, which is between one and two samples."""
    corpus, preset, cost = MadeUp(n_slides=1, side=tissue_side, n_genes=20), PRESETS["tiny"], []
    parts = [np.zeros((corpus.n_spots, GROUPS, 50), np.float32)]
    asked = zeros(corpus.n_spots, 300) if "binomial" in objective else None
    module = ContextModel(50, preset, objective, asked=asked)
    for side in sides:
        unit = ContextUnit.of(corpus, side, preset.d, parts, asked, module.work_beside)
        batch = tensors(unit.draw(corpus, samples_per_step(unit, corpus), np.random.default_rng(0)))
        cost.append(count_flops(module, batch, *module.draw_hidden(batch, torch.Generator().manual_seed(0))))
    assert max(cost) < 1.1 * min(cost)


def zeros(n_spots, n_genes):
    """Counts of one slide that measured every gene, and found none."""
    counts = OfSlide(np.zeros((n_spots, n_genes), np.float32), np.ones(n_spots, np.float32), np.ones(n_genes, bool))
    return Expressed(np.arange(n_genes) % GROUPS, np.full(n_genes, 1 / n_genes, np.float32), [counts])


@given(st.integers(1, MOST), st.integers(16, 1024), st.floats(0, 1))
def test_steps_cost_the_same_however_many_spots_a_sample_holds(most, width, beside):
    padded, n = step_of(most, width, beside)
    assert padded >= most
    assert n * work(padded, width, beside) == pytest.approx(work(MOST, width, beside), rel=0.07)


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
