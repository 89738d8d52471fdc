"""Expression from the image: predicted from features of the stained tissue, by the protocol of HEST-Bench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse as sp

from benchmark.core.contracts import KeyScore, Measured, Metric, Split, Spots, offer
from benchmark.data.gene_selection import top_log_variance
from benchmark.data.normalisation import normalised
from benchmark.data.shown import shown
from benchmark.data.tiles import has_image
from benchmark.metrics.expression import mean_pearson
from benchmark.tasks.regressors import reduced, ridge, xgboost
from benchmark.tasks.sampling import sampled
from benchmark.tasks.scaling import check_embedding

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class ExpressionFromImage:
    """Pearson's correlation of the `n_genes` genes that vary most in training slides with an image, mean over genes.

    "xgboost" and "ridge" are fitted to image features and log1p of raw counts of the training spots, as in HEST-Bench
    (Jaume et al. 2024, arXiv 2406.16192). Features are standardised and reduced to `n_components` principal components.
    "direct" is the method's own prediction, against log1p of counts per 10,000. Correlations are over the spots of all
    test slides together. A gene whose truth or prediction is constant counts as 0.
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
        """Settings "xgboost" and "ridge". The seed changes nothing, since the protocol fixes the seed of the trees."""
        counts = train.counts  # genes are chosen on all spots
        train, note = sampled(train)
        if counts is None or train.counts is None or test.counts is None:
            raise ValueError(f"{self.name} needs the counts of the spots")
        check_embedding(train.embedding, test.embedding)
        genes = top_log_variance(counts, self.n_genes)
        target, truth = (np.log1p(counts[:, genes].toarray()) for counts in (train.counts, test.counts))
        fitted, seen = reduced(train.embedding, test.embedding, self.n_components)
        for head, fit in (("xgboost", xgboost), ("ridge", ridge)):
            predicted = fit(fitted, target).predict(seen).reshape(truth.shape)
            value = mean_pearson(truth, predicted)
            yield Measured(head, "pearson", value, n_train=len(target), n_test=len(truth), note=note)

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """`genes` and `value` `[n_spots, n_genes]`; nothing without an image or `predict_expression` of the method.

        Raises:
            ValueError: what the method returns has another shape, or values that are not finite.
        """
        if offer(method, "predict_expression") is None or not has_image(slide):
            return {}
        counts = sp.vstack([train.X for train in corpus if has_image(train)], format="csr")
        genes = top_log_variance(counts, self.n_genes)
        values = np.asarray(method.predict_expression(shown(slide, counts=False)), dtype=np.float32)
        if values.shape != slide.shape or not np.isfinite(values).all():
            where = f"predict_expression({slide.uns['slide']})"
            raise ValueError(f"{where} has shape {values.shape} or is not finite, expected {slide.shape}")
        return {"genes": genes, "value": values[:, genes]}

    def score_predictions(
        self, slides: list[ad.AnnData], predicted: list[Mapping[str, np.ndarray]]
    ) -> Iterator[Measured]:
        """Setting "direct", if the method predicted any slide."""
        if slides:
            pairs = zip(slides, predicted, strict=True)
            truth = np.concatenate([normalised(slide)[:, arrays["genes"]].toarray() for slide, arrays in pairs])
            values = np.concatenate([arrays["value"] for arrays in predicted])
            yield Measured("direct", "pearson", mean_pearson(truth, values), n_test=len(truth))
