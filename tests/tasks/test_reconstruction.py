"""Reconstruction: its metrics by hand and against scipy, and windows that are the same for all methods."""

import anndata as ad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import r2_score

from benchmark.core.contracts import NotApplicable
from benchmark.core.declarations import declared
from benchmark.data.gene_selection import moments
from benchmark.data.normalisation import lognorm
from benchmark.metrics.expression import reconstruction as metrics
from benchmark.report import words
from benchmark.tasks.holes import window
from benchmark.tasks.reconstruction import Reconstruction

SQUARE = np.stack(np.meshgrid(np.arange(40), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2)
HEXAGONS = SQUARE * [np.sqrt(3) / 2, 1] + np.stack([0 * SQUARE[:, 0], SQUARE[:, 0] % 2 / 2], axis=1)


# Metrics


def test_errors_are_means_over_all_values_over_zeros_and_over_others():
    truth, predicted = np.array([[1.0, 0], [3, 4]]), np.array([[1.0, 2], [3, 1]])
    scores = metrics(truth, predicted, expected=np.array([2.0, 2.0]))
    assert scores == {
        "mse": 13 / 4,
        "mae": 5 / 4,
        "mse_zero": 4,
        "mae_zero": 2,
        "mse_nonzero": 3,
        "mae_nonzero": 1,
        "r2": pytest.approx(1 - 13 / 10),
        "pearson": pytest.approx(0),
        "spearman": pytest.approx(0),
    }


def test_an_error_over_no_values_is_left_out():
    some, none = np.array([[1.0], [2.0]]), np.zeros((2, 1))
    assert not {"mse_zero", "mae_zero"} & set(metrics(some, none, np.ones(1)))
    assert not {"mse_nonzero", "mae_nonzero", "r2"} & set(metrics(none, some, np.zeros(1)))


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 99))
def test_scikit_learn_and_scipy_agree(n_spots, n_genes, seed):
    rng = np.random.default_rng(seed)
    truth, predicted = np.log1p(rng.poisson(1.0, (2, n_spots, n_genes)).astype(np.float32))
    expected = rng.random(n_genes)
    assert np.isfinite(list(metrics(truth, predicted, expected).values())).all()
    # scikit-learn's R² is against the mean of the truth: ours is the same if that mean is expected.
    scores = metrics(truth, predicted, truth.mean(axis=0))
    if (np.ptp(truth, axis=0) > 0).all():
        weighted = r2_score(truth, predicted, multioutput="variance_weighted")
        assert scores["r2"] == pytest.approx(weighted, rel=1e-3, abs=1e-3)
    for gene in range(n_genes):
        if np.ptp(truth[:, gene]) and np.ptp(predicted[:, gene]):
            one = metrics(truth[:, [gene]], predicted[:, [gene]], expected[[gene]])
            assert one["spearman"] == pytest.approx(spearmanr(truth[:, gene], predicted[:, gene])[0])


def test_every_metric_is_declared_with_its_direction():
    scores = metrics(np.array([[0.0], [1.0]]), np.array([[1.0], [0.5]]), np.ones(1))
    lower = {metric.name for metric in Reconstruction.metrics if metric.lower_is_better}
    assert set(scores) == {metric.name for metric in Reconstruction.metrics}
    assert lower == {metric for metric in scores if metric.startswith(("mse", "mae"))}


def test_settings_are_named_and_ordered_by_size():
    settings = ["hole 14 of grid 30", "hole 8", "hole 14 of grid 20", "hole 16", "hole 2"]
    about = declared("reconstruction")
    assert words.in_order(settings, about.settings) == [
        "hole 2",
        "hole 8",
        "hole 14 of grid 20",
        "hole 14 of grid 30",
        "hole 16",
    ]
    assert about.setting_title("hole 4") == "holes of 4 × 4 pitches"
    assert about.setting_title("hole 14 of grid 20") == "a hole of 14 × 14 pitches in a window of 20 × 20"


# Windows


@pytest.mark.parametrize("side", [20, 21, 22, 30])
def test_windows_and_holes_of_a_full_square_lattice_have_their_size(side):
    shown, hidden = window(SQUARE, side, 14, seed=3)
    assert hidden.sum() == 14**2 and 0.8 * side**2 <= shown.sum() <= side**2
    assert np.ptp(SQUARE[hidden], axis=0).tolist() == [13, 13]
    middles = [(SQUARE[spots].min(axis=0) + SQUARE[spots].max(axis=0)) / 2 for spots in (shown, hidden)]
    if shown.sum() == side**2:
        assert np.abs(middles[0] - middles[1]).max() <= 0.5


def test_a_hole_of_hexagons_is_as_large_as_one_of_squares():
    shown, hidden = window(HEXAGONS, 20, 14, seed=0)
    assert hidden.sum() == pytest.approx(14**2 / (np.sqrt(3) / 2), rel=0.05)
    assert 0.45 < hidden.sum() / shown.sum() < 0.6


@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=1, max_size=300, unique=True),
    st.integers(2, 30),
    st.floats(1, 14),
    st.integers(0, 99),
)
def test_a_window_keeps_a_third_visible_or_is_not_cut(cells, side, hole, seed):
    position = np.array(cells, dtype=np.float32)
    shown, hidden = window(position, side, min(hole, side), seed)
    assert (shown | ~hidden).all()
    assert not hidden.any() or (shown & ~hidden).sum() >= shown.sum() / 3 > 0
    assert hidden.any() or not shown.any()
    assert np.array_equal(window(position, side, min(hole, side), seed), (shown, hidden))


class Spy:
    """Predicts zeros, and keeps what it was shown."""

    def __init__(self):
        self.seen = []

    def reconstruct(self, slide: ad.AnnData, hidden: np.ndarray) -> np.ndarray:
        self.seen.append((slide, hidden))
        return np.zeros(slide.shape, np.float32)


def test_only_the_spots_of_the_window_are_shown(tissue):
    task, slide, train = Reconstruction((), (8, 10), 4, 20), tissue[tissue.names[-1]], tissue.subset(tissue.names[:4])
    spy, other = Spy(), Spy()
    rows = list(task.score(slide, task.predict(spy, train, slide)))
    task.predict(other, train, slide)
    assert {row.setting for row in rows} == {"hole 4 of grid 8", "hole 4 of grid 10"}
    for (part, hidden), (again, alike), side in zip(spy.seen, other.seen, task.grids, strict=True):
        assert (np.ptp(part.obsm["position"], axis=0) < side).all() and part.n_obs < slide.n_obs
        assert list(part.obs_names) == list(again.obs_names) and (hidden == alike).all()
        assert part.X[hidden].nnz == 0 and (part.X[~hidden] != slide[part.obs_names[~hidden]].X).nnz == 0
        counts = {(row.n_train, row.n_test) for row in rows if row.setting == f"hole 4 of grid {side}"}
        assert counts == {(int((~hidden).sum()), int(hidden.sum()))}


def test_the_training_mean_has_an_r2_of_0(tissue):
    class TrainingMean(Spy):
        def reconstruct(self, slide, hidden):
            return np.tile(moments(train)[0], (slide.n_obs, 1))

    task, slide, train = Reconstruction((2, 4)), tissue[tissue.names[-1]], tissue.subset(tissue.names[:4])
    rows = list(task.score(slide, task.predict(TrainingMean(), train, slide)))
    assert [row.value for row in rows if row.metric == "r2"] == pytest.approx([0, 0], abs=1e-6)


def test_a_slide_that_no_window_fits_is_not_applicable_with_its_reason(tissue):
    slide = tissue[tissue.names[0]]
    rows = list(Reconstruction((), (20,)).score(slide, {"panel": np.arange(3), "panel_mean": np.zeros(3)}))
    assert rows == [NotApplicable("hole 14 of grid 20", rows[0].reason, slide.uns["slide"])]
    assert "14 × 14 pitches" in rows[0].reason and "20 × 20" in rows[0].reason


def test_hidden_spots_are_scored_on_their_measured_values(tissue):
    task, slide = Reconstruction((4,), (), n_genes=7), tissue[tissue.names[1]]
    predicted = task.predict(Spy(), tissue, slide)
    (cut,) = task.cuts(slide)
    truth = lognorm(slide.X).toarray()[np.ix_(cut.hidden, predicted["panel"])]
    scores = {row.metric: row.value for row in task.score(slide, predicted)}
    assert scores["mse"] == pytest.approx((truth**2).mean(), rel=1e-5) and scores["mse_zero"] == 0
    assert scores["mae_nonzero"] == pytest.approx(truth[truth > 0].mean(), rel=1e-5)
