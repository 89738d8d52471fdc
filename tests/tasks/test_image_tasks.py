"""Expression and labels from images: the protocol by hand, and tissue whose images show expression and labels."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA

from baselines.image_features import ImagePCA, ImageTexture, MeanColour
from benchmark.core.config import Config
from benchmark.core.contracts import Spots
from benchmark.core.typed_values import build
from benchmark.data.gene_selection import top_log_variance
from benchmark.data.normalisation import lognorm
from benchmark.data.prepare import write_corpus
from benchmark.data.tiles import cut
from benchmark.datasets.simulated import Simulated
from benchmark.experiment.fit import run_arms
from benchmark.experiment.score import score_arms
from benchmark.tasks.domain import Domain
from benchmark.tasks.expression_from_image import ExpressionFromImage
from benchmark.tasks.label_from_image import LabelFromImage
from benchmark.tasks.regressors import reduced, ridge

CONTROLS = [MeanColour(), ImageTexture(), ImagePCA(n_components=8)]


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    """A corpus of 3 donors with a slide each, with images that show the cell types."""
    data = Simulated(n_donors=3, slides_per_donor=1, shape=(14, 14), n_genes=40, donor_effect=0.1, depth=2000)
    return write_corpus(data.slides(), tmp_path_factory.mktemp("pictured"), data.record())


def spots(features: np.ndarray, counts: np.ndarray, slide: str = "s") -> Spots:
    n = len(features)
    return Spots(features.astype(np.float32), np.full(n, ""), np.full(n, slide), csr_matrix(counts, dtype=np.float32))


def measured(train: Spots, test: Spots, **options) -> dict[str, float]:
    return {row.setting: row.value for row in ExpressionFromImage(**options).score(train, test, 0)}


# The protocol


def test_genes_are_those_whose_log_counts_vary_most_in_training():
    counts = np.random.default_rng(0).poisson([1, 5, 30, 2], (50, 4)) * [1, 1, 1, 20]
    expected = np.argsort(-np.log1p(counts).var(axis=0))
    np.testing.assert_array_equal(top_log_variance(csr_matrix(counts), 3), expected[:3])


def test_the_penalty_of_ridge_is_100_over_features_times_genes():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 8)), rng.standard_normal((60, 5))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + 100 / (8 * 5) * np.eye(8), x.T @ y)
    np.testing.assert_allclose(ridge(x, y).coef_, expected.T, rtol=1e-9)


def test_features_are_scaled_and_reduced_by_the_training_spots_alone():
    rng = np.random.default_rng(0)
    train, test = rng.random((30, 6)) * [1, 1, 1, 1, 1, 1000], rng.random((10, 6))
    fitted, seen = reduced(train, test, 4)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    outside = PCA(4).fit((train - mean) / deviation)
    np.testing.assert_allclose(np.abs(seen), np.abs(outside.transform((test - mean) / deviation)), rtol=1e-6)
    assert fitted.shape == (30, 4) and reduced(train[:3], test, 256)[1].shape == (10, 3)


def test_informative_features_predict_the_counts_and_noise_does_not():
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 4, (600, 3))
    counts = rng.poisson(np.exp(level))
    informative = measured(spots(level[:400], counts[:400]), spots(level[400:], counts[400:]))
    noise = rng.standard_normal((600, 5))
    uninformative = measured(spots(noise[:400], counts[:400]), spots(noise[400:], counts[400:]))
    assert min(informative.values()) > 0.85 and set(informative) == {"xgboost", "ridge"}
    assert max(np.abs(list(uninformative.values()))) < 0.12


def test_a_gene_that_is_constant_in_the_test_spots_counts_as_0():
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 4, (300, 2))
    counts = rng.poisson(np.exp(level))
    train, test = spots(level[:200], counts[:200]), spots(level[200:], counts[200:])
    both = measured(train, test)
    one = measured(train, spots(level[200:], counts[200:] * [1, 0]))
    alone = measured(train, spots(level[200:], counts[200:] * [0, 1]))
    for head in both:
        assert one[head] + alone[head] == pytest.approx(both[head])


def test_all_test_slides_are_correlated_together(pictured):
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 3, (80, 2))
    counts = rng.poisson(np.exp(level))
    test = spots(level, counts)
    halves = Spots(test.embedding, test.label, np.repeat(["s", "t"], 40), test.counts)
    (ours, *_), (theirs, *_) = (list(ExpressionFromImage().score(test, part, 0)) for part in (test, halves))
    assert ours == theirs and ours.slide == "pooled" and ours.n_test == 80


# Through the benchmark


class Peeking(MeanColour):
    """Would predict the measured expression, if it were given the counts."""

    def predict_expression(self, slide):
        return lognorm(slide.X).toarray()


class Oracle(MeanColour):
    """Predicts the measured expression, which a test tells it."""

    truth: ClassVar[dict[str, np.ndarray]] = {}

    def predict_expression(self, slide):
        return self.truth[slide.uns["slide"]]


def run(corpus, results, tasks, methods=("mean_colour",), fold="fold0", **options) -> pd.DataFrame:
    values = {"name": "small", "dataset": {"name": "simulated"}, "methods": list(methods), "tasks": list(tasks)}
    values |= {"splits": {"donor_folds": 3, "random_repeats": 1, "block_repeats": 0}, "seeds": [0], "neighbours": [0]}
    config, rows = build(Config, values, "test"), []
    for method in methods:
        records = run_arms(config, corpus, results, [(method, fold)], lambda *news: None)
        rows += score_arms(config, corpus, results, records)[0]
    return pd.DataFrame([row.model_dump() for row in rows if row.task not in ("arm", "cost")])


EXPRESSION = {"task": "expression_from_image", "options": {"n_genes": 10}}


def test_images_of_cells_show_expression_and_labels(pictured, tmp_path):
    methods = ("mean_colour", "image_texture", "image_pca")
    rows = run(pictured, tmp_path, [EXPRESSION, "label_from_image"], methods)
    assert set(rows["status"]) == {"ok"}
    expression = rows[rows["task"] == "expression_from_image"]
    assert set(expression["setting"]) == {"xgboost", "ridge"}
    assert set(expression["slide"]) == {"pooled"} and set(expression["n_test"]) == {pictured["donor0_0"].n_obs}
    assert expression.set_index(["method", "setting"])["value"]["mean_colour"].min() > 0.15
    label = rows[(rows["metric"] == "macro_f1") & rows["setting"].isin(["linear", "majority"])]
    label = label.set_index(["method", "setting"])["value"]
    assert label["mean_colour", "linear"] > label["mean_colour", "majority"]
    assert not len(run(pictured, tmp_path, [EXPRESSION], fold="all"))


def test_the_methods_own_prediction_is_a_separate_setting(pictured, tmp_path, monkeypatch):
    monkeypatch.setattr("baselines.image_features.MeanColour", Oracle)
    monkeypatch.setattr(Oracle, "truth", {name: lognorm(pictured[name].X).toarray() for name in pictured.names})
    rows = run(pictured, tmp_path, [EXPRESSION]).set_index("setting")
    assert rows.loc["direct", "value"] == pytest.approx(1) and rows.loc["direct", "slide"] == "pooled"
    assert {"direct", "xgboost", "ridge"} == set(rows.index)


def test_no_counts_are_given_where_the_image_alone_is_asked(pictured, tmp_path, monkeypatch):
    monkeypatch.setattr("baselines.image_features.MeanColour", Peeking)
    rows = run(pictured, tmp_path, [EXPRESSION]).set_index("setting")
    assert rows.loc["direct", "value"] == 0


@pytest.mark.parametrize(("without", "reason"), [([0], "to test"), ([1, 2], "to learn from")])
def test_a_fold_without_images_is_not_applicable_with_its_reason(pictured, tmp_path, without, reason):
    slides = [slide.copy() for slide in pictured]
    for number in without:
        del slides[number].uns["image"]
    corpus = write_corpus(slides, tmp_path / "corpus", {"name": "partly pictured"})
    rows = run(corpus, tmp_path, [EXPRESSION, "label_from_image"], ("mean_colour", "image_pca", "pca"))
    assert set(rows["status"]) == {"not applicable"}
    assert set(rows[rows["method"] == "pca"]["reason"]) == {"the method has no embed_image()"}
    for task, what in (("expression_from_image", "slide"), ("label_from_image", "labelled slide")):
        reasons = rows.loc[(rows["task"] == task) & (rows["method"] != "pca"), "reason"]
        assert set(reasons) == {f"no {what} with an image {reason}"}


def test_a_slide_without_an_image_is_left_out(pictured, tmp_path):
    slides = [slide.copy() for slide in pictured]
    del slides[1].uns["image"]
    corpus = write_corpus(slides, tmp_path / "corpus", {"name": "partly pictured"})
    rows = run(corpus, tmp_path, [EXPRESSION], ("image_pca",))
    assert set(rows["n_train"]) == {corpus["donor2_0"].n_obs} and set(rows["status"]) == {"ok"}


def test_labels_from_images_are_probed_as_domains_are():
    label = np.array(["a", "b"] * 20)
    part = Spots(np.random.default_rng(0).random((40, 3)), label, np.full(40, "s"))
    assert list(LabelFromImage().score(part, part, 0)) == list(Domain().score(part, part, 0))


# Controls


def test_colour_is_the_mean_and_deviation_of_each_channel(pictured):
    slide = pictured["donor0_0"].copy()
    slide.uns["image"]["pixels"][:] = (200, 100, 150)
    slide.uns["image"]["pixels"][::2] = 100
    # A tile has as many pixels as it covers: rows of the two colours in turn.
    features = MeanColour(microns=100, pixels=16).embed_image(slide)
    np.testing.assert_allclose(features, np.tile([150, 100, 125, 50, 0, 25], (slide.n_obs, 1)), atol=1e-4)


def test_texture_distinguishes_images_that_colour_does_not(pictured):
    slide = pictured["donor0_0"].copy()
    row, column = np.indices(slide.uns["image"]["pixels"].shape[:2])
    colour, texture = [], []
    for dark in (row % 2 == 0, (row + column) % 2 == 0, row // 4 % 2 == 0):
        slide.uns["image"]["pixels"] = np.where(dark[..., None], (120, 60, 140), (230, 220, 225)).astype(np.uint8)
        colour.append(MeanColour(microns=100, pixels=16).embed_image(slide))
        texture.append(ImageTexture(microns=100, pixels=16).embed_image(slide))
    for features in texture:
        assert np.ptp(features, axis=0).max() == 0  # the same in every spot
        for radius in (features[:, :10], features[:, 10:]):
            np.testing.assert_allclose(radius.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(colour, np.broadcast_to(colour[0], np.shape(colour)), atol=1e-3)
    assert all(np.abs(texture[a] - texture[b]).max() > 0.1 for a, b in ((0, 1), (0, 2), (1, 2)))


def test_components_of_the_pixels_are_scikit_learn_s(pictured):
    method, train = ImagePCA(n_components=5), pictured.subset(pictured.names[:2])
    method.fit(train, None, 0)
    pixels = np.concatenate([cut(slide, method.tile_view).reshape(slide.n_obs, -1) / 255 for slide in train])
    outside = PCA(5, svd_solver="full").fit(pixels)
    slide = pictured[pictured.names[2]]
    expected = outside.transform(cut(slide, method.tile_view).reshape(slide.n_obs, -1) / 255)
    np.testing.assert_allclose(np.abs(method.embed_image(slide)), np.abs(expected), atol=1e-4)


@pytest.mark.parametrize("method", CONTROLS)
def test_no_count_goes_into_features_of_an_image(pictured, method):
    method.fit(pictured.subset(pictured.names[:2]), None, 0)
    slide = pictured[pictured.names[2]]
    blank = slide.copy()
    blank.X = csr_matrix(slide.shape, dtype=np.float32)
    np.testing.assert_array_equal(method.embed_image(slide), method.embed_image(blank))
