"""The tokens that samples of any side share: the scores of a spot's principal components, by groups of genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.components import MOST, Components, Genes, Normalisation, components, panel_weights
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.normalisation import normalised, normalised_parts
from benchmark.units.expression import Field, fields
from benchmark.units.expression import field as field_of
from methods.context.computed import Computed, Rows

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

N_COMPONENTS = 50
GROUPS = 8  # that the genes are dealt into, at random
NEAR = 18  # neighbours over which a score is averaged, to tell how much of its spread is shared


@dataclass(frozen=True, eq=False)
class Tokeniser:
    """Fitted on the training slides.

    Attributes:
        components: the genes, scaled, and their principal components.
        group: of each of these genes, int `[n_genes]`.
        scale: what each component is divided by, `[n_components]`.
    """

    components: Components
    group: np.ndarray
    scale: np.ndarray

    @property
    def n_components(self) -> int:
        return len(self.scale)

    def scores(self, slide: ad.AnnData) -> np.ndarray:
        """What all genes say of a spot, float32 `[n_spots, n_components]`."""
        scaling, pca = self.components.scaling, self.components.pca
        moments = scaling.moments(slide)
        scores, first = np.empty((slide.n_obs, self.n_components), np.float32), 0
        for values in normalised_parts(slide):
            scores[first : first + values.shape[0]] = pca.transform(scaling.scaled(values, *moments)) / self.scale
            first += values.shape[0]
        return scores

    def parts(self, slide: ad.AnnData, laid: Field | None = None) -> Computed:
        """What each group of genes adds to a spot's scores, float32 `[n_spots, GROUPS, n_components]`.

        Args:
            laid: the slide as a field, if there is one.
        """
        laid, moments = laid or field_of(slide), self.components.scaling.moments(slide)
        return Computed(partial(self._parts, laid, moments))

    def _parts(self, laid: Field, moments: tuple[np.ndarray, np.ndarray], spots: np.ndarray) -> np.ndarray:
        """Of some spots `[n]`."""
        pca = self.components.pca
        scaled = self.components.scaling.scaled(laid.rows(spots), *moments) - pca.mean_
        axes = pca.components_.T / self.scale
        parts = [scaled[:, self.group == g] @ axes[self.group == g] for g in range(GROUPS)]
        return np.stack(parts, axis=1).astype(np.float32)

    def expression(self, scores: np.ndarray, slide: ad.AnnData) -> np.ndarray:
        """log1p of counts per 10,000 of all genes, float32 `[n, n_genes]`, from scores `[n, n_components]`.

        Args:
            slide: whose means and deviations the genes get back. A gene that is no part of the scores has its mean.
        """
        scaling, pca = self.components.scaling, self.components.pca
        values = np.repeat(np.asarray(normalised(slide).mean(axis=0), np.float32).reshape(1, -1), len(scores), axis=0)
        mean, deviation = scaling.moments(slide)
        deviation = np.where(np.isinf(deviation), 0, deviation)
        values[:, scaling.genes] = (scores * self.scale @ pca.components_ + pca.mean_) * deviation + mean
        return values


@lru_cache(maxsize=2)
def fit(
    corpus: Corpus, normalisation: Normalisation, n_genes: int, genes: Genes = "moran"
) -> tuple[Tokeniser, Sequence[Rows]]:
    """The tokeniser, and the parts of the spots of each slide. No seed: all arms of a fold share them.

    A component is divided by the root of the deviation that its score has after the mean over neighbours, so that
    components that neighbours share count for more than noise does. Then one number brings the mean square of a
    training score to 1. Of a corpus of more than `MOST` spots, so many are used for that, and parts are computed as
    they are asked for.
    """
    found = components(corpus, N_COMPONENTS, n_genes, normalisation, genes, panels=True)
    group = np.random.default_rng(0).permutation(len(found.scaling.genes)) % GROUPS
    part = [*corpus.thinned(MOST)]
    weight = np.repeat(panel_weights(part), [slide.n_obs for slide in part])
    scores = np.concatenate([found.scores(slide) for slide in part])
    ends = np.cumsum([slide.n_obs for slide in part])[:-1]
    of_slides = zip(np.split(scores, ends), part, strict=True)
    smooth = np.concatenate([neighbour_mean(s, slide.obsm["position"], NEAR) for s, slide in of_slides])
    variance = np.average(np.square(smooth - np.average(smooth, axis=0, weights=weight)), axis=0, weights=weight)
    scale = np.sqrt(np.maximum(np.sqrt(variance), 1e-6))
    scale = scale * np.sqrt(np.average(np.square(scores / scale).mean(axis=1), weights=weight))
    tokeniser = Tokeniser(found, group, scale)
    parts = [tokeniser.parts(slide, laid) for slide, laid in zip(corpus, fields(corpus), strict=True)]
    if corpus.n_spots > MOST:
        return tokeniser, parts
    return tokeniser, [of_slide[np.arange(n)] for of_slide, n in zip(parts, corpus.table["n_spots"], strict=True)]
