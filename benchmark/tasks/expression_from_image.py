"""Expression from the image: how much of it do features of the stained tissue tell? The protocol of HEST-Bench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse as sp

from benchmark.core.contracts import KeyScore, Measured, Metric, Split, Spots, offer
from benchmark.data.normalisation import lognorm
from benchmark.data.tiles import has_image
from benchmark.metrics.expression import pearson

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

TREES = {
    "n_estimators": 100,
    "max_depth": 3,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "reg_lambda": 1,
    "random_state": 1,
    "n_jobs": 1,
}


@dataclass(frozen=True)
class ExpressionFromImage:
    """The `n_genes` genes that vary most in the training slides that have an image, Pearson a gene, mean over genes.

    "xgboost" and "ridge" are fitted to the training spots' features and log1p of raw counts as in HEST-Bench (Jaume et
    al. 2024, arXiv 2406.16192): features standardised, then their first `n_components` principal components.
    "direct" is what the method itself predicts, against log1p of counts per 10,000. The spots of all test slides
    together are correlated, and a gene whose truth or prediction is constant counts as 0.
    """

    n_genes: int = 50
    n_components: int = 256

    name: ClassVar[str] = "expression_from_image"
    requires: ClassVar[str] = "embed_image"
    key: ClassVar[None] = None
    splits: ClassVar[tuple[Split, ...]] = ("donor",)
    title: ClassVar[str] = "Expression from the image"
    order: ClassVar[int] = 60
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("pearson", "Pearson"),)
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore("r image", "xgboost", "pearson", words="r image: Pearson of expression from the image"),
    )
    settings: ClassVar[Mapping[str, str]] = {
        "xgboost": "XGBoost on image features",
        "ridge": "ridge on image features",
        "direct": "predicted by the method itself",
    }

    def score(self, train: Spots, test: Spots, seed: int) -> Iterator[Measured]:
        """The seed changes nothing: the protocol fixes that of the trees."""
        genes = most_variable(train.counts, self.n_genes)
        target, truth = (np.log1p(spots.counts[:, genes].toarray()) for spots in (train, test))
        fitted, seen = reduced(train.embedding, test.embedding, self.n_components)
        for head, fit in (("xgboost", xgboost), ("ridge", ridge)):
            predicted = fit(fitted, target).predict(seen).reshape(truth.shape)
            value = float(np.mean(pearson(truth, predicted)))
            yield Measured(head, "pearson", value, n_train=len(target), n_test=len(truth))

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """`genes` and `value` `[n_spots, n_genes]` of a method that has `predict_expression`, where there is an image.

        Raises:
            ValueError: what the method returns has another shape, or values that are not finite.
        """
        if offer(method, "predict_expression") is None or not has_image(slide):
            return {}
        counts = sp.vstack([seen.X for seen in corpus if has_image(seen)], format="csr")
        genes = most_variable(counts, self.n_genes)
        values = np.asarray(method.predict_expression(slide), dtype=np.float32)
        if values.shape != slide.shape or not np.isfinite(values).all():
            where = f"predict_expression({slide.uns['slide']})"
            raise ValueError(f"{where} has shape {values.shape} or is not finite, expected {slide.shape}")
        return {"genes": genes, "value": values[:, genes]}

    def score_predictions(self, slides: list[ad.AnnData], predicted: list[dict[str, np.ndarray]]) -> Iterator[Measured]:
        if slides:
            pairs = zip(slides, predicted, strict=True)
            truth = np.concatenate([lognorm(slide.X)[:, its["genes"]].toarray() for slide, its in pairs])
            values = np.concatenate([its["value"] for its in predicted])
            yield Measured("direct", "pearson", float(np.mean(pearson(truth, values))), n_test=len(truth))


def most_variable(counts: sp.csr_matrix, n_genes: int) -> np.ndarray:
    """Indices of the genes whose log1p of raw counts `[n_spots, n_all_genes]` varies most, greatest first."""
    values = sp.csr_matrix(counts, dtype=np.float64).log1p()
    mean = np.asarray(values.mean(axis=0)).ravel()
    variance = np.asarray(values.multiply(values).mean(axis=0)).ravel() - mean**2
    return np.argsort(-variance, kind="stable")[:n_genes]


def reduced(train: np.ndarray, test: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of standardised features, both fitted on `train` `[n_train, d]`."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n_components = min(n_components, *train.shape)
    model = make_pipeline(StandardScaler(), PCA(n_components, svd_solver="covariance_eigh"))
    return model.fit_transform(train), model.transform(test)


def xgboost(features: np.ndarray, target: np.ndarray):
    """100 trees of depth 3 for each gene."""
    from xgboost import XGBRegressor

    return XGBRegressor(**TREES).fit(features, target)


def ridge(features: np.ndarray, target: np.ndarray):
    """The penalty is 100 / (number of features × number of genes)."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=100 / (features.shape[1] * target.shape[1])).fit(features, target)
