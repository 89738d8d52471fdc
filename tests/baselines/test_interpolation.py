"""Interpolation from visible spots: cases worked by hand, scikit-learn, and invariants of every such method."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.gaussian_process import GaussianProcessRegressor

from baselines.gaussian_process import GaussianProcess, fit_kernel, weights
from baselines.interpolation import GeneMean, InverseDistance, Nearest, NeighbourMean, VisiblePatchMean
from benchmark.data.normalisation import lognorm
from benchmark.data.slide import make_slide

GRID = np.stack(np.meshgrid(np.arange(14), np.arange(14), indexing="ij"), axis=-1).reshape(-1, 2)
HOLE = ((GRID >= 5) & (GRID < 9)).all(axis=1)


def slide_of(counts: np.ndarray, position: np.ndarray) -> ad.AnnData:
    genes, spots = (
        np.char.add(letter, np.arange(n).astype(str)) for letter, n in zip("gs", counts.T.shape, strict=True)
    )
    lattice = np.zeros((len(position), 2), int)
    return make_slide(counts, genes, spots, name="s", donor="d", position=position, lattice=lattice, lattice_record={})


def smooth_slide(seed: int, depth: int = 100) -> tuple[ad.AnnData, np.ndarray]:
    """Counts of 20 genes whose rates are waves across the grid; and the log-normalised rates, the truth."""
    rng = np.random.default_rng(seed)
    wave = np.sin(GRID @ rng.normal(0, 0.25, (2, 20)) + rng.uniform(0, 6, 20))
    share = np.exp(wave)
    share /= share.sum(axis=1, keepdims=True)
    return slide_of(rng.poisson(depth * share), GRID), np.log1p(1e4 * share)


def test_nearest_and_patch_mean_on_a_line_are_as_worked_by_hand():
    # Visible spots lie at 0, 1, 2 and 9, hidden spots at 3.4 and 30.
    position = np.array([[0, 0], [0, 1], [0, 2], [0, 9], [0, 3.4], [0, 30]])
    slide = slide_of(np.array([[1, 3], [2, 2], [3, 1], [4, 0], [9, 9], [9, 9]]), position)
    value, hidden = lognorm(slide.X).toarray(), np.arange(6) >= 4
    nearest = Nearest().reconstruct(slide, hidden)
    np.testing.assert_array_equal(nearest, value[[0, 1, 2, 3, 2, 3]])
    patch = VisiblePatchMean(width=4).reconstruct(slide, hidden)
    # Within 2 pitches of 3.4 lies the spot at 2 alone, within 3 also the spot at 1. No spot is near 30.
    np.testing.assert_allclose(patch[4:], [value[2], value[:4].mean(axis=0)], rtol=1e-6)
    wider = VisiblePatchMean(width=6).reconstruct(slide, hidden)
    np.testing.assert_allclose(wider[4], value[1:3].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(patch[:4], value[:4])


def test_a_patch_is_square():
    slide = slide_of(np.eye(4, dtype=int) + 1, np.array([[0, 0], [3.9, 3.9], [4.1, 0], [0, -4.1]]))
    reconstructed = VisiblePatchMean().reconstruct(slide, np.arange(4) == 0)
    np.testing.assert_allclose(reconstructed[0], lognorm(slide.X).toarray()[1], rtol=1e-6)


@settings(max_examples=30)
@given(st.integers(2, 40), st.floats(0.05, 0.95), st.integers(0, 999))
@pytest.mark.parametrize("method", [Nearest(), NeighbourMean(), InverseDistance(), VisiblePatchMean(), GeneMean()])
def test_means_of_visible_spots_lie_between_them_in_any_order(method, n_spots, share, seed):
    rng = np.random.default_rng(seed)
    slide = slide_of(rng.poisson(2.0, (n_spots, 5)), rng.uniform(0, 12, (n_spots, 2)))
    hidden = rng.permutation(n_spots) < min(max(1, round(share * n_spots)), n_spots - 1)
    values = method.reconstruct(slide, hidden)
    seen = lognorm(slide.X).toarray()[~hidden]
    assert (values[hidden] >= seen.min(axis=0) - 1e-5).all() and (values[hidden] <= seen.max(axis=0) + 1e-5).all()
    np.testing.assert_array_equal(values[~hidden], seen)
    order = rng.permutation(n_spots)
    np.testing.assert_allclose(method.reconstruct(slide[order].copy(), hidden[order]), values[order], atol=1e-5)


# Gaussian process


def test_scikit_learn_predicts_the_same():
    slide, _ = smooth_slide(0)
    predicted = GaussianProcess().reconstruct(slide, HOLE)
    value, gene = lognorm(slide.X).toarray().astype(np.float64), 3
    np.testing.assert_array_equal(predicted[~HOLE], value[~HOLE].astype(np.float32))
    mean = value[~HOLE].mean(axis=0)
    kernel = fit_kernel(GRID[~HOLE].astype(float), value[~HOLE] - mean)
    outside = GaussianProcessRegressor(kernel, optimizer=None, alpha=0)
    outside.fit(GRID[~HOLE], value[~HOLE, gene] - mean[gene])
    # The fit depends a little on the order of the spots.
    np.testing.assert_allclose(predicted[HOLE, gene] - mean[gene], outside.predict(GRID[HOLE]), atol=5e-3)
    ours = weights(kernel, GRID[~HOLE].astype(float), GRID[HOLE].astype(float)) @ (value[~HOLE, gene] - mean[gene])
    np.testing.assert_allclose(ours, outside.predict(GRID[HOLE]), rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_smooth_field_is_recovered_better_than_by_simpler_means(seed):
    slide, truth = smooth_slide(seed, depth=1000)
    error = {
        type(method): np.mean((method.reconstruct(slide, HOLE)[HOLE] - truth[HOLE]) ** 2)
        for method in (GaussianProcess(), Nearest(), NeighbourMean(), GeneMean())
    }
    assert min(error, key=error.get) is GaussianProcess
    assert error[GaussianProcess] < error[GeneMean] / 2 and error[GaussianProcess] < error[Nearest] / 2


def test_noise_alone_is_predicted_as_the_gene_s_mean():
    slide = slide_of(np.random.default_rng(0).poisson(5.0, (len(GRID), 20)), GRID)
    value = lognorm(slide.X).toarray()
    predicted = GaussianProcess().reconstruct(slide, HOLE)[HOLE]
    assert np.abs(predicted - value[~HOLE].mean(axis=0)).max() < 0.1 * value[~HOLE].std()


@pytest.mark.parametrize("n_visible", [1, 2, 5])
def test_few_or_constant_visible_spots_are_enough(n_visible):
    position = GRID[: n_visible + 3]
    hidden = np.arange(n_visible + 3) >= n_visible
    constant = GaussianProcess().reconstruct(slide_of(np.ones((len(position), 2)), position), hidden)
    np.testing.assert_allclose(constant[hidden], np.log1p(5000), rtol=1e-6)
    varied = slide_of(np.random.default_rng(0).poisson(3.0, (len(position), 4)), position)
    assert np.isfinite(GaussianProcess().reconstruct(varied, hidden)).all()


def test_hidden_counts_and_the_order_of_spots_have_no_effect():
    slide, _ = smooth_slide(2)
    other = slide.copy()
    other.X = csr_matrix(other.X.toarray() + 3 * HOLE[:, None])
    predicted = GaussianProcess().reconstruct(slide, HOLE)
    np.testing.assert_array_equal(GaussianProcess().reconstruct(other, HOLE)[HOLE], predicted[HOLE])
    order = np.random.default_rng(0).permutation(len(GRID))
    again = GaussianProcess().reconstruct(slide[order].copy(), HOLE[order])
    np.testing.assert_allclose(again, predicted[order], atol=5e-3)


def test_the_nearest_of_many_spots_give_nearly_the_same_result(monkeypatch):
    slide, _ = smooth_slide(3)
    whole = GaussianProcess().reconstruct(slide, HOLE)[HOLE]
    monkeypatch.setattr("baselines.gaussian_process.MOST_SPOTS", 120)
    part = GaussianProcess().reconstruct(slide, HOLE)[HOLE]
    assert np.abs(whole - part).max() < 0.1 * lognorm(slide.X).toarray().std()
    assert not np.array_equal(whole, part)
