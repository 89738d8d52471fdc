"""Imputation: some genes are hidden in all spots of a slide, and the method predicts their expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from benchmark.core.contracts import KeyScore, Measured, Metric, Split
from benchmark.data.gene_selection import top_variance
from benchmark.data.normalisation import normalised
from benchmark.data.panel import measured, without
from benchmark.metrics import expression

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus


@dataclass(frozen=True)
class Imputation:
    """The `n_genes` genes that vary most in the training slides are dealt into `folds`. Each fold is hidden in turn.

    All other genes stay visible. The method has seen the hidden genes in the training slides.

    Truth of gene g in a spot: log1p(10,000 × x_g / sum of x over all genes), x the counts. The method is given x of the
    visible genes alone, so the only library size that it can know is their sum. The sum of all genes would tell it the
    sum of the hidden ones.
    """

    n_genes: int = 256
    folds: int = 5

    name: ClassVar[str] = "imputation"
    requires: ClassVar[str] = "impute"
    splits: ClassVar[tuple[Split, ...]] = ("donor",)
    title: ClassVar[str] = "Imputation of hidden genes"
    order: ClassVar[int] = 50
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("pearson", "Pearson"),
        Metric("spearman", "Spearman"),
        Metric("rmse", "RMSE", lower_is_better=True),
    )
    key_scores: ClassVar[tuple[KeyScore, ...]] = (
        KeyScore("r imputed", "genes", "pearson", words="r imputed: Pearson of hidden genes"),
    )
    settings: ClassVar[Mapping[str, str]] = {"genes": "genes hidden fold by fold"}

    def predict(self, method: Any, corpus: Corpus, slide: ad.AnnData) -> dict[str, np.ndarray]:
        """`genes`, the indices of the hidden genes, and `value` `[n_spots, n_genes]`, log-normalised.

        Raises:
            ValueError: what the method returns has another shape, or values that are not finite.
        """
        predicted, genes = [], self.deal(top_variance(corpus, self.n_genes))
        for hidden in genes:
            values = np.asarray(method.impute(without(slide, hidden), hidden), dtype=np.float32)
            if values.shape != (slide.n_obs, len(hidden)) or not np.isfinite(values).all():
                expected = f"expected {(slide.n_obs, len(hidden))}"
                raise ValueError(f"impute({slide.uns['slide']}) has shape {values.shape} or is not finite, {expected}")
            predicted.append(values)
        return {"genes": np.concatenate(genes), "value": np.concatenate(predicted, axis=1)}

    def score(self, slide: ad.AnnData, predicted: Mapping[str, np.ndarray]) -> Iterator[Measured]:
        """Predicted against measured expression of the hidden genes that the slide has, log-normalised."""
        known = measured(slide)[predicted["genes"]]
        truth = normalised(slide)[:, predicted["genes"][known]].toarray()
        for metric, value in expression.imputation(truth, predicted["value"][:, known]).items():
            yield Measured("genes", metric, value, slide.uns["slide"], n_test=slide.n_obs)

    def deal(self, panel: np.ndarray) -> list[np.ndarray]:
        """The genes of the panel in `folds` parts of similar size, int `[n_hidden]` each, the same for all methods."""
        parts = np.array_split(np.random.default_rng(0).permutation(panel), self.folds)
        return [np.sort(part) for part in parts if len(part)]
