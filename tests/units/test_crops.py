"""Crops: each holds exactly the spots of its rectangle, and together they embed every spot of a slide."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.data.normalisation import lognorm
from benchmark.units import expression
from benchmark.units.batch import Batch
from benchmark.units.crops import Context, cover, occupancy
from benchmark.units.expression import field, stretched
from benchmark.units.patch import PatchUnit, candidates
from benchmark.units.rules import Panel, variances
from tests.helpers.hand_made import N_GENES, slide_at

cells = st.integers(2, 30).flatmap(lambda n: arrays(np.int64, (n, 2), elements=st.integers(0, 9)))
sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))


def covered(slide, context: str, size: int, m: int = 5, tokens: int = 100, offset: int = 0) -> list[Batch]:
    """The batches that cover a slide, all showing its first `m` genes."""
    return list(cover(field(slide, offset), context, size, Panel(tuple(range(m))), m, tokens))


def embedded(batches: list[Batch]) -> list[int]:
    """The spots that get a vector, sorted, with repeats."""
    return sorted(int(spot) for batch in batches for spot in batch.spot[batch.read])


@given(cells, st.integers(1, 6), st.integers(0, 5))
def test_crops_that_hang_over_the_edge_count_the_spots_that_they_hold(cell, side, over):
    over = min(over, side - 1)
    cell = cell - cell.min(axis=0)
    starts, n_spots = occupancy(cell, (side, side), over)
    shape = np.maximum(cell.max(axis=0) + 1 + 2 * over, side) - side + 1
    assert {tuple(start) for start in starts} == {(y - over, x - over) for y, x in np.ndindex(*shape)}
    for start, n in zip(starts, n_spots, strict=True):
        assert n == ((cell >= start) & (cell < start + side)).all(axis=1).sum()


@given(cells, sizes)
def test_crops_cover_the_lattice_and_count_their_spots(cell, size):
    cell = cell - cell.min(axis=0)
    starts, n_spots = occupancy(cell, size)
    n_rows, n_columns = np.maximum(cell.max(axis=0) + 1, size) - size + 1
    assert {tuple(start) for start in starts} == {(y, x) for y in range(n_rows) for x in range(n_columns)}
    for start, n in zip(starts, n_spots, strict=True):
        assert n == sum(((spot >= start) & (spot < start + size)).all() for spot in cell)


@given(cells, sizes)
def test_a_crop_holds_exactly_the_spots_of_its_rectangle(cell, size):
    slide = slide_at(cell)
    cell = slide.obsm["lattice"]
    starts, _ = occupancy(cell, size)
    for start, spots in zip(starts, field(slide).inside(starts, size), strict=True):
        inside = [s for s, at in enumerate(cell) if (start <= at).all() and (at < start + size).all()]
        assert list(spots[spots >= 0]) == inside


@given(cells, st.integers(1, 4))
def test_a_sample_is_all_of_one_crop(cell, size):
    slide = slide_at(cell)
    starts, n_spots = occupancy(slide.obsm["lattice"], (size, size))
    crops = {tuple(s[s >= 0] + 100) for s in field(slide).inside(starts[n_spots > 0], (size, size))}
    for batch in covered(slide, "overlap", size, N_GENES, offset=100):
        for spot, valid in zip(batch.spot, batch.valid, strict=True):
            assert tuple(sorted(spot[valid])) in crops


@given(cells, sizes, st.integers(0, 100))
def test_variance_in_a_crop_is_that_of_numpy(cell, size, seed):
    slide = slide_at(cell, seed)
    starts, n_spots = occupancy(slide.obsm["lattice"], size)
    start = starts[n_spots > 0][0]
    at = slide.obsm["lattice"]
    member = ((at >= start) & (at < start + size)).all(axis=1)
    values = lognorm(slide.X).toarray()[member].astype(np.float64)
    np.testing.assert_allclose(
        variances(field(slide), np.flatnonzero(member)[None])[0], values.var(axis=0), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("context", get_args(Context))
@pytest.mark.parametrize("size", [1, 3, 5, 20])
def test_every_spot_of_a_slide_is_embedded(tissue, context, size):
    for slide in tissue:
        read = embedded(covered(slide, context, size))
        assert set(read) == set(range(slide.n_obs))
        if context != "overlap":
            assert len(read) == slide.n_obs


@given(cells, st.integers(1, 5))
def test_a_centred_crop_has_its_spot_in_the_middle_and_embeds_it_alone(cell, size):
    slide = slide_at(cell)
    for batch in covered(slide, "centre", size):
        assert (batch.read.sum(axis=1) == 1).all()
        assert (batch.cell[batch.read] == size // 2).all()
        assert (batch.cell[batch.valid] < size).all() and (batch.cell[batch.valid] >= 0).all()


@given(cells, st.integers(1, 5))
def test_tiles_do_not_overlap_and_a_spot_read_alone_has_no_neighbour(cell, size):
    slide = slide_at(cell)
    at = slide.obsm["lattice"]
    for batch in covered(slide, "tiles", size):
        for spot, valid in zip(batch.spot, batch.valid, strict=True):
            assert len(np.unique(at[spot[valid]] // size, axis=0)) == 1
    assert all((batch.valid.sum(axis=1) == 1).all() for batch in covered(slide, "self", size))
    assert len(covered(slide, "slide", size)) == 1


@given(cells, st.integers(1, 20))
def test_the_stretched_lattice_spans_its_side_and_gives_each_cell_to_one_spot(cell, side):
    slide = field(slide_at(cell))
    for last_wins in (False, True):
        laid = stretched(slide, side, last_wins)
        on = laid.lattice[:, 0] >= 0
        assert len(np.unique(laid.lattice[on], axis=0)) == on.sum()
        extent = np.ptp(cell, axis=0)
        np.testing.assert_array_equal(laid.lattice[on].max(axis=0), np.where(extent > 0, side, 0))
        np.testing.assert_array_equal(laid.position[laid.owner], laid.position)
        assert on[laid.owner].all() and (laid.owner[on] == np.flatnonzero(on)).all()
        others = np.flatnonzero(~on)
        assert (laid.owner[others] > others).all() if last_wins else (laid.owner[others] < others).all()


def test_a_slide_that_is_not_kept_in_memory_gives_the_same_samples(tissue, monkeypatch):
    unit = PatchUnit(size=3, n_channels=6)
    whole = unit.draw(tissue, 12, np.random.default_rng(0))
    for cached in (expression.fields, candidates):
        cached.cache_clear()
    monkeypatch.setattr(expression, "MOST_VALUES", -1)
    monkeypatch.setattr(expression, "SPOTS_AT_ONCE", 20)
    parts = unit.draw(tissue, 12, np.random.default_rng(0))
    assert all(np.array_equal(getattr(whole, name), getattr(parts, name)) for name in vars(whole))
    expression.fields.cache_clear()


def test_a_slide_too_large_to_be_read_at_once_is_read_in_random_parts(tissue, monkeypatch):
    monkeypatch.setattr("benchmark.units.crops.MAX_SPOTS", 50)
    slide = field(tissue[tissue.names[0]])
    batches = list(PatchUnit(size=3, n_channels=4, context="slide").cover(slide, 100))
    assert len(batches) == -(-slide.n_spots // 50) and embedded(batches) == list(range(slide.n_spots))
