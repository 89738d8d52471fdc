"""scGPT's samples: which genes and spots they hold, and which slides their means are taken from."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from baselines.scgpt import unit as unit_module
from baselines.scgpt.unit import ScGPTUnit, nonzero_mean
from benchmark.core.errors import UnitBenchError
from benchmark.data.prepare import write_corpus

N = 48


def drawn(corpus, seed=0, **options):
    unit = ScGPTUnit(**options).fit(corpus)
    return unit.draw(corpus, N, np.random.default_rng(seed))


def slide_of(corpus, spots):
    return np.searchsorted(np.cumsum(corpus.table["n_spots"]), spots, side="right")


def same(a, b) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


def test_a_sample_is_a_random_subset_of_its_spots_genes_with_bins_among_all_of_them(tissue):
    batch = drawn(tissue, n_tokens=12)
    every = sp.vstack([slide.X for slide in tissue]).toarray()
    assert batch.values.shape == (N, 16, 1) and batch.valid.sum(axis=1).max() == 12
    for values, genes, valid, spot in zip(batch.values, batch.genes, batch.valid, batch.spot, strict=True):
        counts = every[spot[0]]
        shown = counts[genes[valid, 0]]
        assert shown.all() and len(set(genes[valid, 0])) == min(12, np.count_nonzero(counts))
        assert (np.diff(values[valid, 0][np.argsort(shown, kind="stable")])[np.diff(np.sort(shown)) > 0] >= 0).all()
        # A value's bin is at least 49 times the share of the spot's values that are lower, shown or not.
        lower = (counts[counts > 0][:, None] < shown).mean(axis=0)
        assert (values[valid, 0] >= np.floor(49 * lower)).all() and values[valid].max() <= 50
        assert not values[~valid].any() and (spot[~valid] == -1).all()


def test_a_draw_repeats_by_its_seed_and_genes_are_drawn_anew(tissue):
    assert same(drawn(tissue, n_tokens=12), drawn(tissue, n_tokens=12))
    assert not same(drawn(tissue, n_tokens=12), drawn(tissue, 1, n_tokens=12))


def test_a_slide_is_covered_in_order_and_alike_each_time_in_any_batches(tissue):
    slide, unit = tissue[tissue.names[1]], ScGPTUnit(n_tokens=12)
    (whole,) = unit.cover(slide, 10**6)
    (again,) = unit.cover(slide, 10**6)
    assert same(whole, again)
    assert np.array_equal(whole.spot[:, 0], np.arange(slide.n_obs)) and whole.read[:, 0].all()
    parts = list(unit.cover(slide, 5 * 12))
    assert max(map(len, parts)) == 5
    assert np.array_equal(np.concatenate([part.values for part in parts]), whole.values)


# Windows


@pytest.mark.parametrize("window", [1, 8, 16])
def test_a_window_holds_the_nearest_spots_of_one_slide(tissue, window):
    batch = drawn(tissue, n_tokens=8, window=window)
    spots = batch.spot[:, 0].reshape(-1, window)
    positions = np.concatenate([slide.obsm["position"] for slide in tissue])
    slides = slide_of(tissue, np.arange(tissue.n_spots))
    assert len(np.unique(slides[spots[:, 0]])) > 1
    for members, shown in zip(spots, batch.position.reshape(len(spots), window, -1, 2), strict=True):
        assert len(set(slides[members])) == 1 and len(set(members)) == window
        assert np.array_equal(shown[:, 0], positions[members]) and (shown == shown[:, :1]).all()
        of_slide = np.flatnonzero(slides == slides[members[0]])
        # One spot of the window is the middle: no spot outside is nearer to it than a spot inside.
        far = np.linalg.norm(positions[of_slide][:, None] - positions[members], axis=-1)
        inside = np.isin(of_slide, members)
        reach = far[inside].max(axis=0)
        assert (reach <= far[~inside].min(axis=0) + 1e-6).any()


def test_windows_begin_at_every_spot_equally_often(tissue):
    batch = ScGPTUnit(n_tokens=8, window=1).draw(tissue, 20_000, np.random.default_rng(0))
    share = np.bincount(slide_of(tissue, batch.spot[:, 0]), minlength=6) / 20_000
    np.testing.assert_allclose(share, tissue.table["n_spots"] / tissue.n_spots, atol=0.015)


def test_shuffled_coordinates_are_positions_of_the_slide_and_windows_hold_random_spots(tissue):
    batch = drawn(tissue, n_tokens=8, window=16, shuffle_coordinates=True)
    unit_module.layouts.cache_clear()
    assert same(batch, drawn(tissue, n_tokens=8, window=16, shuffle_coordinates=True))
    spread = []
    for members in batch.spot[:, 0].reshape(-1, 16):
        (slide,) = set(slide_of(tissue, members))
        positions = tissue[tissue.names[slide]].obsm["position"]
        true = positions[members - tissue.table["n_spots"].iloc[:slide].sum()]
        shown = batch.position[np.isin(batch.spot[:, 0], members)][:, 0]
        assert set(map(tuple, shown)) <= set(map(tuple, positions))
        spread.append(true.std(axis=0).mean() / positions.std(axis=0).mean())
    assert np.mean(spread) > 0.8  # about a third for spots that are near each other


def test_a_window_larger_than_a_slide_is_refused(tissue):
    with pytest.raises(UnitBenchError, match=r"a window of 500 spots .*; set a smaller window") as error:
        ScGPTUnit(window=500).check(tissue)
    assert "\n" not in str(error.value)


def test_a_step_is_a_batch_or_a_window():
    assert ScGPTUnit(batch_size=5).samples_per_step == 5
    assert ScGPTUnit(batch_size=5, window=9).samples_per_step == 9


# Gene means


def altered(corpus, change, folder):
    """The corpus with other counts in its last slide."""
    *others, last = corpus
    last = last.copy()
    last.X = sp.csr_matrix(change(last.X.toarray()))
    return write_corpus([*others, last], folder, {"name": "altered"})


def test_gene_means_are_taken_over_non_zero_counts_of_the_training_slides_alone(tissue, tmp_path):
    train = tissue.names[:-1]
    other = altered(tissue, lambda counts: 5 * counts[::-1] + 1, tmp_path)
    first, second = (ScGPTUnit(gene_mean=True).fit(corpus.subset(train)).mean for corpus in (tissue, other))
    counts = np.concatenate([tissue[name].X.toarray() for name in train])
    np.testing.assert_allclose(first, counts.sum(axis=0) / (counts > 0).sum(axis=0))
    assert np.array_equal(first, second)


def slide_with(counts):
    return SimpleNamespace(X=sp.csr_matrix(np.float32(counts)), n_obs=len(counts))


def test_counts_are_divided_by_their_genes_mean_before_they_are_binned():
    slide = slide_with([[8, 10, 30, 0]])
    plain, normalised = ScGPTUnit(), ScGPTUnit(gene_mean=True, mean=np.array([2.0, 10, 60, np.nan]))
    for unit, order in ((plain, [0, 1, 2]), (normalised, [2, 1, 0])):
        (batch,) = unit.cover(slide, 10**6)
        valid = batch.valid[0]
        bins = dict(zip(batch.genes[0, valid, 0], batch.values[0, valid, 0], strict=True))
        assert sorted(bins, key=bins.get) == order


def test_a_gene_absent_in_training_is_divided_by_its_mean_in_the_slide():
    slide = slide_with([[1, 400], [2, 100], [6, 100]])
    assert np.array_equal(nonzero_mean(slide.X), [3, 200])
    (batch,) = ScGPTUnit(gene_mean=True, mean=np.array([3.0, np.nan])).cover(slide, 10**6)
    for row, greater in zip(range(3), [1, 0, 0], strict=True):
        assert batch.genes[row, batch.values[row, :, 0].argmax(), 0] == greater


# Vocabularies


def test_genes_without_a_token_are_left_out_before_they_are_binned(tissue):
    token = np.where(np.arange(40) % 2, -1, 1000 + np.arange(40))
    slide = tissue[tissue.names[0]]
    (batch,) = ScGPTUnit(token=token).cover(slide, 10**6)
    assert np.array_equal(np.unique(batch.genes[batch.valid]), np.unique(token[token > 0]))
    assert np.array_equal(batch.valid.sum(axis=1), (slide.X.toarray()[:, ::2] > 0).sum(axis=1))
    (alone,) = ScGPTUnit().cover(slide[:, ::2].copy(), 10**6)
    full = batch.valid.sum(axis=1)
    assert np.array_equal(alone.valid.sum(axis=1), full)


def test_a_spot_without_counts_is_a_sample_without_genes(tissue):
    slide = tissue[tissue.names[0]].copy()
    slide.X = sp.csr_matrix(slide.X.toarray() * (np.arange(slide.n_obs) > 2)[:, None])
    batches = list(ScGPTUnit(n_tokens=4).cover(slide, 4))
    assert not batches[0].valid.any() and batches[0].n_spots == 1
