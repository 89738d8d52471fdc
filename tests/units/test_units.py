"""Units: a sample holds exactly the spots and values that it should, whichever unit drew it."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import chisquare

from benchmark.core.errors import UnitBenchError
from benchmark.data.gene_selection import top_variance
from benchmark.data.normalisation import lognorm
from benchmark.data.prepare import write_corpus
from benchmark.datasets.simulated import Simulated
from benchmark.units.expression import field
from benchmark.units.patch import PatchUnit
from benchmark.units.spot import SpotUnit
from methods.patch.method import Patch
from tests.helpers.hand_made import N_GENES, slide_at

UNITS = [SpotUnit(n_tokens=16), PatchUnit(size=4, n_channels=16)]
by_name = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def corpus_of(tmp_path, *slides):
    return write_corpus(slides, tmp_path, {"name": "made by hand"})


def grid(rows: int, columns: int) -> np.ndarray:
    return np.argwhere(np.ones((rows, columns)))


def dense(corpus) -> np.ndarray:
    """Log-normalised expression of all spots, `[n_spots, n_genes]`."""
    return np.concatenate([lognorm(slide.X).toarray() for slide in corpus])


def same(a, b) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


# What any batch holds


@by_name
def test_a_value_is_its_spots_log_normalised_count_of_its_gene(tissue, unit):
    batch = unit.draw(tissue, 30, np.random.default_rng(0))
    expected = dense(tissue)[batch.spot[:, :, None], batch.genes]
    np.testing.assert_allclose(batch.values, np.where(batch.valid[:, :, None], expected, 0), rtol=3e-7)  # float32's


@by_name
def test_padding_is_zero_and_comes_last(tissue, unit):
    batch = unit.draw(tissue, 30, np.random.default_rng(0))
    assert not batch.values[~batch.valid].any()
    assert not batch.position[~batch.valid].any()
    assert (batch.spot[~batch.valid] == -1).all() and (batch.spot[batch.valid] >= 0).all()
    assert (np.diff(batch.valid.astype(int), axis=1) <= 0).all()


@by_name
def test_a_slice_is_the_same_samples_with_less_padding(tissue, unit):
    batch = unit.draw(tissue, 12, np.random.default_rng(0))
    part = batch[3:5]
    t = part.valid.shape[1]
    np.testing.assert_array_equal(part.spot, batch.spot[3:5, :t])
    np.testing.assert_array_equal(part.values, batch.values[3:5, :t])
    assert not batch.valid[3:5, t:].any()


@by_name
def test_draws_are_a_function_of_the_generator_alone(tissue, unit):
    first, other, again = (unit.draw(tissue, 20, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert same(first, again)
    assert not same(first, other)


@by_name
def test_no_gene_is_shown_twice(tissue, unit):
    batch = unit.draw(tissue, 20, np.random.default_rng(0))
    for genes, valid in zip(batch.genes, batch.valid, strict=True):
        shown = genes[valid, 0] if unit.name == "spot" else genes[0]
        assert len(set(shown)) == len(shown)


@by_name
def test_hexagonal_tissue_keeps_its_distances(tmp_path, unit):
    data = Simulated(n_donors=2, slides_per_donor=1, shape=(10, 10), n_genes=30, kind="hex", image=False)
    corpus = write_corpus(data.slides(), tmp_path, data.record())
    batch = unit.draw(corpus, 6, np.random.default_rng(0))
    position = np.concatenate([slide.obsm["position"] for slide in corpus])
    assert batch.valid.any(axis=1).all()
    if unit.name != "spot":
        for tokens, spot, valid in zip(batch.position, batch.spot, batch.valid, strict=True):
            np.testing.assert_allclose(pdist(tokens[valid]), pdist(position[spot[valid]]), atol=1e-4)


# Spots, patches and slides


@pytest.mark.parametrize("unit", UNITS[1:], ids=lambda unit: unit.name)
def test_work_in_small_blocks_gives_the_same_samples(tissue, unit, monkeypatch):
    together = unit.draw(tissue, 12, np.random.default_rng(0))
    monkeypatch.setattr("benchmark.units.crops.VALUES_AT_ONCE", 1)
    assert same(unit.draw(tissue, 12, np.random.default_rng(0)), together)


def test_spots_that_share_a_cell_are_all_kept(tmp_path):
    cell = np.repeat(grid(4, 4), 3, axis=0)
    corpus = corpus_of(tmp_path, slide_at(cell))
    batch = PatchUnit(size=4, n_channels=4).draw(corpus, 1, np.random.default_rng(0))
    assert sorted(batch.spot[batch.valid]) == list(range(48))
    drawn = PatchUnit(size=1, n_channels=4).draw(corpus, 20, np.random.default_rng(0))
    assert (drawn.valid.sum(axis=1) == 3).all()


def test_the_tokens_of_a_spot_are_its_non_zero_genes(tissue):
    expressed = dense(tissue) > 0
    whole = SpotUnit(n_tokens=40).draw(tissue, 50, np.random.default_rng(0))
    for spot, genes, valid in zip(whole.spot[:, 0], whole.genes[:, :, 0], whole.valid, strict=True):
        assert sorted(genes[valid]) == list(np.flatnonzero(expressed[spot]))


@pytest.mark.parametrize("n_tokens", [3, 8])
def test_a_spot_shows_no_more_tokens_than_asked(tissue, n_tokens):
    expressed = dense(tissue) > 0
    unit = SpotUnit(n_tokens=n_tokens)
    drawn = unit.draw(tissue, 50, np.random.default_rng(0))
    slide = tissue[tissue.names[0]]
    panel = top_variance(tissue, 40)
    (whole,) = unit.fit(tissue).cover(field(slide), 10_000)
    for batch in (drawn, whole):
        np.testing.assert_array_equal(
            batch.valid.sum(axis=1), np.minimum(expressed[batch.spot[:, 0]].sum(axis=1), n_tokens)
        )
    for spot, genes, valid in zip(whole.spot[:, 0], whole.genes[:, :, 0], whole.valid, strict=True):
        assert set(genes[valid]) == set([gene for gene in panel if expressed[spot, gene]][:n_tokens])


def test_spots_without_counts_are_covered(tmp_path):
    slide = slide_at(grid(3, 3))
    slide.X[8] = 0
    slide.X.eliminate_zeros()
    (batch,) = SpotUnit(n_tokens=8, order=tuple(range(N_GENES))).cover(field(slide), 1000)
    assert not batch.valid[8].any()
    assert len(batch[8:]) == 1


def test_patches_come_from_slides_in_proportion_to_their_spots_and_are_not_near_empty(tmp_path):
    small, large = grid(4, 4), grid(12, 12)
    lone = np.array([[30, 30]])  # a stray spot far from the rest: a crop of it alone is too empty
    corpus = corpus_of(tmp_path, slide_at(small, name="a"), slide_at(np.concatenate([large, lone]), name="b"))
    batch = PatchUnit(size=4, n_channels=4, min_occupancy=0.25).draw(corpus, 1000, np.random.default_rng(0))
    n_small = int((batch.spot[:, 0] < 16).sum())
    share = 16 / (16 + 145)
    assert chisquare([n_small, 1000 - n_small], [1000 * share, 1000 * (1 - share)]).pvalue > 1e-3
    assert batch.valid.sum(axis=1).min() >= 4


def test_a_patch_is_refused_if_no_slide_can_hold_it(tissue, tmp_path):
    with pytest.raises(UnitBenchError, match=r"larger than every slide \(widest: 12\)") as error:
        Patch(size=13, n_channels=4).check(tissue)
    assert "\n" not in str(error.value)
    corpus = corpus_of(tmp_path, slide_at(grid(9, 9), name="full"), slide_at(grid(9, 9)[::4], name="sparse"))
    with pytest.raises(UnitBenchError, match=r"holds 8 spots on 1 slide\(s\): sparse"):
        Patch(size=4, n_channels=4, min_occupancy=0.5).check(corpus)
    Patch(size=4, n_channels=4, min_occupancy=0.25).check(corpus)


def test_more_channels_than_genes_are_refused(tissue):
    with pytest.raises(UnitBenchError, match="41 channels of 40 genes") as error:
        Patch(n_channels=41).check(tissue)
    assert "\n" not in str(error.value)


def test_fixed_crops_are_as_many_in_every_slide_and_the_same_in_every_draw(tmp_path):
    corpus = corpus_of(tmp_path, slide_at(grid(6, 6), name="a"), slide_at(grid(12, 12), name="b"))
    unit = PatchUnit(size=3, n_channels=4, crops_per_slide=5)
    batches = [unit.draw(corpus, 400, np.random.default_rng(seed)) for seed in (0, 1)]
    crops = [{tuple(spot[valid]) for spot, valid in zip(b.spot, b.valid, strict=True)} for b in batches]
    assert crops[0] == crops[1] and 6 <= len(crops[0]) <= 10
    small = int((batches[0].spot[:, 0] < 36).sum())
    assert chisquare([small, 400 - small]).pvalue > 1e-3
