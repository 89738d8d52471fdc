"""Simulated tissue: what must hold, since its truth is known."""

import anndata as ad
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.stats import nbinom
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from benchmark.data.normalisation import lognorm
from benchmark.datasets.histology import PIXELS
from benchmark.datasets.simulated import Simulated
from benchmark.datasets.tissue import negative_binomial


@pytest.fixture(scope="module")
def slides():
    return list(Simulated().slides())


def held_out_donor_accuracy(slides, features) -> float:
    """Balanced accuracy of k-NN on the domains, each donor held out in turn."""
    labels = np.concatenate([slide.obs["label"] for slide in slides])
    donors = np.concatenate([[slide.uns["donor"]] * slide.n_obs for slide in slides])
    predicted = cross_val_predict(
        KNeighborsClassifier(10), np.concatenate(features), labels, groups=donors, cv=LeaveOneGroupOut()
    )
    return balanced_accuracy_score(labels, predicted)


def pca(slides) -> list[np.ndarray]:
    counts = [lognorm(slide.X).toarray() for slide in slides]
    fitted = PCA(50, random_state=0).fit(np.concatenate(counts))
    return [fitted.transform(one) for one in counts]


def neighbour_mean(slides, features) -> list[np.ndarray]:
    near = [cKDTree(s.obsm["position"]).query(s.obsm["position"], k=9)[1] for s in slides]
    return [one[index].mean(axis=1) for one, index in zip(features, near, strict=True)]


def test_a_spot_is_a_noisy_view_of_its_domain_and_its_neighbours_help(slides):
    alone = pca(slides)
    assert 0.5 < held_out_donor_accuracy(slides, alone) < 0.68
    assert 0.8 < held_out_donor_accuracy(slides, neighbour_mean(slides, alone)) < 0.9


def test_coordinates_say_nothing_about_another_donor(slides):
    assert held_out_donor_accuracy(slides, [s.obsm["position"] for s in slides]) < 0.35


def test_shuffled_expression_is_at_chance_and_nothing_else_changes(slides):
    shuffled = list(Simulated(shuffle=True).slides())
    features = pca(shuffled)
    assert held_out_donor_accuracy(shuffled, features) < 0.3
    assert held_out_donor_accuracy(shuffled, neighbour_mean(shuffled, features)) < 0.3
    for true, mixed in zip(slides, shuffled, strict=True):
        assert true.obs["label"].equals(mixed.obs["label"])
        assert np.array_equal(true.obsm["position"], mixed.obsm["position"])
        rows = [np.sort(s.X.toarray().view("V1200").ravel()) for s in (true, mixed)]
        assert np.array_equal(*rows)  # the same expression profiles in other spots


@pytest.mark.parametrize("kind", ["square", "hex"])
def test_domains_are_smooth_and_every_slide_has_them_all(kind):
    for slide in Simulated(n_donors=3, kind=kind, image=False).slides():
        label = slide.obs["label"].to_numpy()
        pairs = cKDTree(slide.obsm["position"]).query_pairs(1.01, output_type="ndarray")
        alike = (label[pairs[:, 0]] == label[pairs[:, 1]]).mean()
        share = slide.obs["label"].value_counts(normalize=True)
        by_chance = (share**2).sum()
        assert len(share) == 4 and share.min() > 0.08
        assert alike > by_chance + 0.4


def test_layouts_differ_between_the_slides_of_a_donor_but_their_shares_do_not(slides):
    first, second = (slide.obs["label"] for slide in slides[:2])
    both = first.index.intersection(second.index)
    assert (first[both].astype(str) == second[both].astype(str)).mean() < 0.5
    shares = [label.value_counts(normalize=True) for label in (first, second)]
    assert (shares[0] - shares[1]).abs().max() < 0.05


def test_counts_are_negative_binomial_with_the_stated_dispersion():
    rng = np.random.default_rng(0)
    for mean, dispersion in [(0.5, 0.5), (5.0, 0.5), (5.0, 2.0)]:
        counts = negative_binomial(np.full(200_000, mean), dispersion, rng)
        expected = nbinom(1 / dispersion, 1 / (1 + mean * dispersion))
        assert counts.mean() == pytest.approx(mean, rel=0.02)
        assert counts.var() == pytest.approx(expected.var(), rel=0.05)
        assert (counts == 0).mean() == pytest.approx(expected.pmf(0), abs=0.005)


def test_tissue_is_overdispersed_and_has_the_stated_depth(slides):
    counts = np.concatenate([slide.X.toarray() for slide in slides])
    expressed = counts.mean(axis=0) > 0.5
    assert (counts.var(axis=0) > counts.mean(axis=0))[expressed].mean() > 0.99
    assert counts.sum(axis=1).mean() == pytest.approx(Simulated().depth, rel=0.25)


def test_donors_differ_by_their_effect_and_only_by_it(slides):
    def log_ratio(one, other):
        return np.log(np.asarray(one.X.mean(axis=0) / other.X.mean(axis=0)).ravel())

    first, same_donor, other_donor = slides[0], slides[1], slides[2]
    effect = np.log(other_donor.uns["truth"]["donor_effect"] / first.uns["truth"]["donor_effect"])
    assert np.corrcoef(log_ratio(other_donor, first), effect)[0, 1] > 0.9
    assert log_ratio(same_donor, first).std() < 0.5 * log_ratio(other_donor, first).std()


def test_cell_types_follow_their_domains_mixture(slides):
    truth = slides[0].uns["truth"]["mixture"]
    fraction = np.concatenate([slide.obsm["cell_type_fraction"] for slide in slides])
    label = np.concatenate([slide.obs["label"] for slide in slides])
    for domain, mixture in zip(["tumour", "stroma", "immune", "adipose"], truth, strict=True):
        assert fraction[label == domain].mean(axis=0) == pytest.approx(mixture, abs=0.03)
    assert np.allclose(fraction.sum(axis=1), 1)


def test_the_image_shows_the_cell_types(slides):
    def colour(slide) -> np.ndarray:
        """Histogram of the colours around each spot, `[n_spots, 64]`."""
        pixels, (x, y) = slide.uns["image"]["pixels"], slide.obsm["pixel"].astype(int).T
        half = np.arange(-PIXELS // 2, PIXELS // 2)
        crop = pixels[(y[:, None] + half)[:, :, None], (x[:, None] + half)[:, None, :]]
        code = (crop // 64 * [16, 4, 1]).sum(axis=-1).reshape(len(x), -1)
        return np.stack([(code == colour).mean(axis=1) for colour in range(64)], axis=1)

    train, test = slides[:4], slides[-1]
    cells = np.concatenate([slide.obsm["cell_type_fraction"] for slide in train])
    seen = RidgeCV().fit(np.concatenate([colour(slide) for slide in train]), cells)
    assert seen.score(colour(test), test.obsm["cell_type_fraction"]) > 0.3
    assert seen.score(colour(test)[::-1], test.obsm["cell_type_fraction"]) < 0.1


def test_the_same_options_give_the_same_slides_and_more_donors_do_not_change_them(slides):
    again = next(Simulated(n_donors=2).slides())
    assert np.array_equal(again.X.toarray(), slides[0].X.toarray())
    assert np.array_equal(again.uns["image"]["pixels"], slides[0].uns["image"]["pixels"])
    other = next(Simulated(seed=1).slides())
    assert other.shape != slides[0].shape or not np.array_equal(other.X.toarray(), slides[0].X.toarray())


def test_about_the_stated_share_of_lattice_cells_is_empty(slides):
    occupied = np.mean([slide.n_obs / np.prod(slide.uns["lattice"]["shape"]) for slide in slides])
    assert occupied == pytest.approx(0.95, abs=0.01)


def test_a_slide_read_back_from_disk_is_the_same(slides, tmp_path):
    slides[0].write_h5ad(tmp_path / "one.h5ad")
    back = ad.read_h5ad(tmp_path / "one.h5ad")
    assert np.array_equal(back.uns["image"]["pixels"], slides[0].uns["image"]["pixels"])
    assert back.uns["truth"]["dispersion"] == slides[0].uns["truth"]["dispersion"]


def test_the_record_names_each_slides_donor(slides):
    record = Simulated().record()
    assert record["donors"] == {slide.uns["slide"]: slide.uns["donor"] for slide in slides}
    assert record["files"] == []
