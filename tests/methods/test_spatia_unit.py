"""SPATIA's samples: the neighbours of a spot, what is hidden, and that no other spot shows what is hidden."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from benchmark.data.normalisation import hide, library_size, lognorm
from benchmark.data.prepare import write_corpus
from benchmark.data.slide import check_slide
from benchmark.data.tiles import View, tiles
from benchmark.training.loop import tensors
from methods.spatia.presets import Design, parts
from methods.spatia.sections import Surroundings, neighbours, section, sections
from methods.spatia.unit import SpatiaUnit, tokens, visible
from tests.helpers.spatia import MICRO, simulated

FULL = Design(**parts("cell-niche_image-tissue"))
AROUND = Surroundings(k=8, view=View(100, 8), niche=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    data = simulated()
    return write_corpus(data.slides(), tmp_path_factory.mktemp("spatia"), data.record())


def drawn(corpus, seed=0, around=AROUND, unit=None):
    unit = unit or SpatiaUnit(MICRO, FULL, around).fit(corpus)
    return unit.draw(corpus, unit.samples_per_step, np.random.default_rng(seed))


# Neighbours


def test_the_eight_nearest_of_a_square_lattice_are_its_ring():
    position = np.argwhere(np.ones((5, 5))).astype(float)
    near, valid = neighbours(position, 8, None)
    assert valid.all()
    ring = position[near[12]] - position[12]
    assert sorted(map(tuple, ring)) == [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def test_a_window_holds_the_spots_of_its_square_and_fewer_at_a_corner():
    position = np.argwhere(np.ones((5, 5))).astype(float)
    near, valid = neighbours(position, 8, 2.0)
    assert valid[12].sum() == 8 and valid[0].sum() == 3
    assert sorted(near[0][valid[0]]) == [1, 5, 6]
    assert (near[~valid] == np.nonzero(~valid)[0]).all()


@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_neighbours_are_the_nearest_others(n, k, seed):
    position = np.random.default_rng(seed).integers(0, 6, size=(n, 2)).astype(float)  # many share a position
    near, valid = neighbours(position, k, None)
    assert valid.all() and near.shape == (n, min(k, n - 1))
    distance = cdist(position, position)
    np.fill_diagonal(distance, np.inf)
    to_near = np.take_along_axis(distance, near, axis=1)
    assert np.isfinite(to_near).all()  # never the spot itself
    np.testing.assert_allclose(np.sort(to_near, axis=1), np.sort(distance, axis=1)[:, : near.shape[1]])
    assert all(len(set(row)) == len(row) for row in near.tolist())


# Batches


def test_every_array_of_a_step_belongs_to_its_spot(corpus):
    batch = drawn(corpus)
    slides, n = sections(corpus, AROUND), len(batch.target)
    assert n == MICRO.sections * MICRO.targets == len(set(batch.target))
    values, counts = (sp.vstack(matrices).toarray() for matrices in ([s.values for s in slides], [s.X for s in corpus]))
    depth = np.concatenate([slide.depth for slide in slides])
    offset = np.concatenate([slide.offset for slide in slides])
    picture = np.concatenate([tiles(corpus, name, AROUND.view) for name in corpus.names])
    wide = np.concatenate([tiles(corpus, name, AROUND.niche_view) for name in corpus.names])
    np.testing.assert_array_equal(batch.tile[:n], picture[batch.target])
    np.testing.assert_array_equal(batch.niche_tile, wide[batch.target])
    np.testing.assert_array_equal(batch.offset, offset[batch.target])
    np.testing.assert_array_equal(batch.wanted, np.take_along_axis(values[batch.target], batch.query, axis=1))
    near = np.concatenate([slide.first + slide.near for slide in slides])[batch.target]
    spot = np.empty(len(batch.valid), int)
    spot[batch.near], spot[:n] = near, batch.target
    rows, shown = np.nonzero(batch.valid)
    size = np.expm1(batch.depth.astype(float))[rows, 0]
    measured = np.expm1(batch.values[rows, shown]) * size / 1e4
    np.testing.assert_allclose(measured, counts[spot[rows], batch.genes[rows, shown]], rtol=1e-4)
    np.testing.assert_allclose(batch.depth[batch.near[batch.near >= n]], depth[near[batch.near >= n]], rtol=1e-6)
    np.testing.assert_array_equal(batch.tile[batch.near], picture[near])


def test_a_target_that_hides_genes_has_the_library_size_of_the_others():
    counts, hidden = np.array([[2, 6, 0, 8], [0, 5, 0, 0]], np.float32), np.array([[0, 0, 0, 1], [0, 1, 0, 1]], bool)
    whole = sp.csr_matrix(counts)
    values, depth = visible(lognorm(whole), np.log1p(library_size(whole))[:, None], hidden)
    np.testing.assert_allclose(values.toarray(), np.log1p([[2500, 7500, 0, 0], [0, 0, 0, 0]]), rtol=1e-6)
    np.testing.assert_allclose(depth, np.log1p([[8], [1]]), rtol=1e-6)  # an empty spot has library size 1


def test_a_target_shows_none_of_the_genes_that_it_is_asked_for(corpus):
    batch = drawn(corpus)
    assert batch.asked.any(axis=1).all()
    for row in range(len(batch.target)):
        asked = set(batch.query[row][batch.asked[row]])
        assert not asked & set(batch.genes[row][batch.valid[row]])


def test_the_same_seed_draws_the_same_step(corpus):
    one, again, other = (tensors(drawn(corpus, seed)) for seed in (0, 0, 1))
    assert all(one[name].equal(again[name]) for name in one)
    assert not one["target"].equal(other["target"])


def with_hidden_altered(slides, batch):
    """The same slides with other counts of the genes that the targets are asked for."""
    rng, first = np.random.default_rng(0), 0
    for slide in slides:
        slide = slide.copy()
        counts = slide.X.toarray()
        for target, query, asked in zip(batch.target, batch.query, batch.asked, strict=True):
            if first <= target < first + slide.n_obs:
                counts[target - first, query[asked]] = rng.integers(0, 50, asked.sum())
        slide.X = sp.csr_matrix(counts)
        first += slide.n_obs
        yield check_slide(slide, "altered")


def test_hidden_values_reach_no_input_of_the_target_or_of_any_other(corpus, tmp_path):
    """Every target is also a neighbour of others here, and a token of its tissue."""
    unit = SpatiaUnit(MICRO, FULL, AROUND).fit(corpus)
    before = drawn(corpus, unit=unit)
    assert np.isin(np.arange(len(before.target)), before.near).any()
    altered = write_corpus(with_hidden_altered(corpus, before), tmp_path, {})
    after = drawn(altered, unit=unit)
    assert not np.array_equal(before.wanted, after.wanted)
    for name in set(before.inputs) - {"wanted"}:
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name), err_msg=name)


def test_where_genes_are_too_many_those_of_the_least_rank_are_shown():
    matrix = sp.csr_matrix(np.array([[1, 2, 3, 4, 0], [0, 0, 5, 0, 6]], np.float32))
    shown = tokens(matrix, np.arange(2), 2, None, np.array([3, 0, 4, 1, 2]), None)
    genes_shown = [set(genes[valid]) for genes, valid in zip(shown["genes"], shown["valid"], strict=True)]
    assert genes_shown == [{1, 3}, {2, 4}]
    assert shown["values"][0].sum() == 6


def test_a_step_of_small_slides_draws_no_spot_twice(tmp_path):
    data = simulated(n_donors=1, shape=(4, 4), dropout=0.5 - 1e-9)
    small = write_corpus(data.slides(), tmp_path, data.record())
    batch = drawn(small)
    assert len(batch.target) == len(set(batch.target)) == min(16, small.n_spots)


# Sections


def test_expression_is_a_share_of_the_visible_genes(corpus):
    slide = corpus[corpus.names[0]].copy()
    whole = section(slide, Surroundings())
    np.testing.assert_array_equal(whole.values.toarray(), lognorm(slide.X).toarray())
    shown = slide.X.toarray()[:, 10:]
    slide.X = hide(slide.X, np.arange(10))
    lacking = section(slide, Surroundings())
    expected = np.log1p(1e4 * shown / shown.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(lacking.values.toarray()[:, 10:], expected, rtol=1e-5)
    np.testing.assert_allclose(lacking.depth[:, 0], np.log1p(shown.sum(axis=1)), rtol=1e-6)


def test_shuffled_images_belong_to_other_spots_of_the_slide(corpus):
    slide = corpus[corpus.names[0]]
    shuffled = section(slide, Surroundings(view=View(100, 8), shuffle_images=True))
    assert sorted(shuffled.shown) == list(range(slide.n_obs))
    assert (shuffled.shown != np.arange(slide.n_obs)).mean() > 0.9
    again = section(slide, Surroundings(view=View(100, 8), shuffle_images=True))
    np.testing.assert_array_equal(shuffled.shown, again.shown)


def test_shuffled_neighbours_are_as_many_at_the_same_distances(corpus):
    slide = corpus[corpus.names[0]]
    plain, shuffled = (section(slide, Surroundings(shuffle_neighbours=shuffle)) for shuffle in (False, True))
    assert (shuffled.near != np.arange(slide.n_obs)[:, None]).all()
    position = np.asarray(slide.obsm["position"])
    distances = [np.sort(np.linalg.norm(section.offset, axis=2), axis=None) for section in (plain, shuffled)]
    np.testing.assert_array_equal(*distances)
    true = np.linalg.norm(position[shuffled.near] - position[:, None], axis=2)
    assert np.median(true) > 2  # from the real positions of the new neighbours
    np.testing.assert_array_equal(plain.values.toarray(), shuffled.values.toarray())
