"""Distances between sets of images, against direct sums, other implementations and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel

from benchmark.core.errors import UnitBenchError
from benchmark.data.tiles import View, cut
from benchmark.datasets.simulated import Simulated
from benchmark.metrics.images import condition_gain, feature_distances, frechet, mmd2, polynomial
from benchmark.metrics.morphology import FEATURES, morphology, threshold
from benchmark.metrics.tile_features import colour_and_texture, fit_extractor


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


# MMD²


def test_the_kernel_is_that_of_scikit_learn():
    a, b = normal(7, 5, 0), normal(6, 5, 1)
    np.testing.assert_allclose(polynomial(a, b), polynomial_kernel(a, b, degree=3, gamma=1 / 5, coef0=1))


def test_mmd2_is_the_double_sum_over_different_images():
    a, b = normal(6, 3, 0), normal(5, 3, 1, shift=1)
    k = lambda x, y: (x @ y / 3 + 1) ** 3  # noqa: E731
    within = [np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]) for x in (a, b)]
    across = np.mean([k(x, y) for x in a for y in b])
    assert mmd2(a, b) == pytest.approx(sum(within) - 2 * across)


def test_mmd2_of_equal_distributions_is_zero_on_average_and_not_above():
    values = [mmd2(normal(12, 3, 2 * seed), normal(12, 3, 2 * seed + 1)) for seed in range(300)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 300**0.5
    assert min(values) < 0


def test_mmd2_grows_with_the_shift():
    a = normal(100, 4, 0)
    values = [mmd2(a, normal(100, 4, 1, shift)) for shift in (0, 0.5, 1, 2)]
    assert values == sorted(values)


def test_one_image_is_too_few_for_mmd2():
    with pytest.raises(UnitBenchError, match="at least 2"):
        mmd2(normal(1, 2, 0), normal(9, 2, 1))


# Fréchet


@given(st.integers(1, 6), st.integers(0, 1000))
def test_frechet_is_the_closed_form_for_normal_distributions(d, seed):
    a, b = normal(70, d, seed), normal(80, d, seed + 1) @ normal(d, d, seed + 2) + 1
    s, t = (np.cov(x, rowvar=False).reshape(d, d) for x in (a, b))
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))
    assert frechet(a, b) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_frechet_in_one_dimension_is_by_means_and_deviations():
    a = np.tile([[0.0], [2.0]], (10, 1))
    assert frechet(a, 3 * a + 5) == pytest.approx((3 * 1 + 5 - 1) ** 2 + (3 - 1) ** 2 * a.var(ddof=1))


def test_frechet_refuses_fewer_images_than_ten_times_the_dimensions():
    frechet(normal(40, 4, 0), normal(40, 4, 1))
    with pytest.raises(UnitBenchError, match="39 images in 4 dimensions"):
        frechet(normal(40, 4, 0), normal(39, 4, 1))
    with pytest.raises(UnitBenchError, match="129 dimensions"):
        frechet(normal(1290, 129, 0), normal(1290, 129, 1))


# Each feature by itself


def test_wasserstein_of_a_shifted_feature_is_the_shift_and_ks_of_disjoint_ones_is_one():
    a = normal(50, 2, 0)
    wasserstein, ks = feature_distances(a, a + np.array([0.5, 100]), np.array([1.0, 10.0]))
    np.testing.assert_allclose(wasserstein, [0.5, 10])
    assert ks[1] == 1
    np.testing.assert_array_equal(feature_distances(a, a, np.ones(2)), 0)


# Use of the condition


def test_condition_gain_is_one_for_copies_and_about_0_for_copies_of_other_spots():
    real = normal(200, 5, 0)
    assert condition_gain(real, real).value == pytest.approx(1)
    wrong = condition_gain(real, np.random.default_rng(1).permutation(real))
    assert wrong.low < 0 < wrong.high


def test_condition_gain_is_the_double_sum():
    real, made = normal(9, 3, 0), normal(9, 3, 1)
    squared = ((made[:, None] - real) ** 2).sum(axis=-1)
    same, other = squared.diagonal().mean(), squared[~np.eye(9, dtype=bool)].mean()
    assert condition_gain(real, made).value == pytest.approx(1 - same / other)


# Morphology and features of tiles


@pytest.fixture(scope="module")
def slide():
    return next(Simulated(n_donors=1, slides_per_donor=1, shape=(12, 12), n_genes=20).slides())


def disc(radius: float, at: tuple[int, int] = (16, 16)) -> np.ndarray:
    tile = np.full((32, 32, 3), (236, 190, 212), np.uint8)
    y, x = np.mgrid[:32, :32]
    tile[(y - at[0]) ** 2 + (x - at[1]) ** 2 < radius**2] = (80, 50, 130)
    return tile


def test_a_disc_is_one_round_nucleus_of_its_area():
    tiles = np.stack([disc(6), disc(3), np.full((32, 32, 3), 230, np.uint8)])
    rows = morphology(tiles, threshold(tiles))
    large, small, none = (dict(zip(FEATURES, row, strict=True)) for row in rows)
    assert large["nuclei"] == small["nuclei"] == 1
    assert large["area"] == pytest.approx(np.pi * 36 / 1024, rel=0.05)
    assert large["major_axis"] == pytest.approx(12 / 32, rel=0.05)
    assert large["eccentricity"] < 0.3
    assert large["stain"] > 0
    assert not any(none.values())


def test_two_discs_are_two_nuclei():
    tile = np.minimum(disc(4, (8, 8)), disc(4, (24, 24)))[None]
    assert morphology(tile, threshold(tile))[0, 0] == 2


def test_simulated_tiles_with_more_cells_of_large_types_have_more_nuclear_area(slide):
    tiles = cut(slide, View(100, 32))
    share = morphology(tiles, threshold(tiles))[:, FEATURES.index("nuclear_share")]
    size = slide.obsm["cell_type_fraction"] @ np.arange(6)
    assert np.corrcoef(share, size)[0, 1] > 0.3


def test_features_have_unit_mean_variance_on_the_tiles_that_they_were_fitted_to(slide):
    tiles = cut(slide, View(100, 16))
    extract = fit_extractor(tiles, 8)
    features, shape = extract(tiles)
    assert features.shape == (len(tiles), 8) and shape.shape == (len(tiles), len(FEATURES))
    np.testing.assert_allclose(features.var(axis=0).mean(), 1, rtol=0.1)
    off = np.corrcoef(features, rowvar=False) - np.eye(8)
    assert abs(off).max() < 0.1


def test_colour_statistics_are_those_of_numpy(slide):
    tiles = cut(slide, View(100, 16))[:5]
    features = colour_and_texture(tiles)
    np.testing.assert_allclose(features[:, :3], tiles.mean(axis=(1, 2)) / 255, rtol=1e-5)
    np.testing.assert_allclose(features[:, 3:6], tiles.std(axis=(1, 2)) / 255, rtol=1e-4)


def test_weights_must_be_a_file_that_fits_the_network(slide, tmp_path):
    import timm
    from safetensors.torch import save_file

    tiles, name = cut(slide, View(100, 16))[:20], "resnet10t.c3_in1k"
    with pytest.raises(UnitBenchError, match="file not found"):
        fit_extractor(tiles, 4, name, str(tmp_path / "none.safetensors"))
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("resnet10t", num_classes=0).state_dict(), path)
    features, _ = fit_extractor(tiles, 4, "resnet10t", str(path))(tiles)
    assert features.shape == (20, 4) and np.isfinite(features).all()
    with pytest.raises(UnitBenchError, match="weights of resnet18"):
        fit_extractor(tiles, 4, "resnet18", str(path))
