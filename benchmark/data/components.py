"""Principal components of scaled, log-normalised genes, all fitted on the slides of a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from benchmark.data.gene_selection import moments, random_genes, top_dispersion, top_moran, top_variance
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.normalisation import CLIP, normalised, normalised_parts, sums
from benchmark.data.panel import measured

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

CONSTANT = 1e-12  # share of a gene's mean square that is rounding, and no variance
MOST = 100_000  # spots that components are fitted on

# A gene is scaled by its mean and deviation over all training spots ("log"), or over its own slide ("slide_z"): slides
# of different depth or batch then have the same scale.
Normalisation = Literal["log", "slide_z"]
# Which genes are used: those of the greatest Moran's I, the most variable for their mean, the most variable, or any.
Genes = Literal["moran", "hvg", "variance", "random"]
RULES = {"moran": top_moran, "hvg": top_dispersion, "variance": top_variance, "random": random_genes}


class Scaling(NamedTuple):
    """Indices of the genes that are used, and the mean and deviation of each over the training spots, `[n_genes]`."""

    normalisation: Normalisation
    genes: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    neighbours: int = 0

    def values(self, slide: ad.AnnData) -> np.ndarray:
        """Scaled values, float32 `[n_spots, n_genes]`, averaged over each spot and its `neighbours`."""
        values = self.scaled(normalised(slide), *self.moments(slide))
        return neighbour_mean(values, slide.obsm["position"], self.neighbours)

    def scaled(self, values: sp.csr_matrix, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """Scaled values of some spots, within ±`CLIP`, float32 `[n, n_genes]`.

        Args:
            values: log1p of counts per 10,000 of all genes, `[n, n_all_genes]`.
            mean, deviation: `moments` of their slide.
        """
        return scale(values[:, self.genes].toarray(), mean, deviation)

    def moments(self, slide: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each gene that the slide is scaled by, float32 `[n_genes]`.

        Where the gene tells nothing, since the slide lacks it or, with "slide_z", since it does not vary there, the
        deviation is infinite, so that its scaled values are 0.
        """
        mean, deviation = self.mean, self.deviation
        if self.normalisation == "slide_z":
            mean, deviation = (of_all[self.genes] for of_all in moments_within(normalised_parts(slide)))
        return mean, np.where(measured(slide)[self.genes], deviation, np.float32(np.inf))


def moments_within(parts: Iterable[sp.csr_matrix]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each gene over the spots of all parts `[n_spots, n_genes]`, float32 `[n_genes]` each.

    The deviation of a gene that does not vary is infinite.
    """
    n_spots, total, squares = 0, 0.0, 0.0
    for part in parts:
        n_spots, of_part = n_spots + part.shape[0], sums(part)
        total, squares = total + of_part[0], squares + of_part[1]
    mean, square = total / n_spots, squares / n_spots
    variance = square - mean**2
    deviation = np.sqrt(np.where(variance > CONSTANT * square, variance, np.inf))
    return mean.astype(np.float32), deviation.astype(np.float32)


def scale(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Deviations from the mean, cut off at ±`CLIP`; float32 `[n_spots, n_genes]`."""
    return np.clip((values - mean) / deviation, -CLIP, CLIP)


class Components(NamedTuple):
    """The scaling, and scikit-learn's PCA of the scaled values of the training spots."""

    scaling: Scaling
    pca: Any

    def scores(self, slide: ad.AnnData) -> np.ndarray:
        """Float32 `[n_spots, n_components]`."""
        return self.pca.transform(self.scaling.values(slide)).astype(np.float32)


@lru_cache(maxsize=2)
def components(
    corpus: Corpus,
    n_components: int,
    n_genes: int,
    normalisation: Normalisation = "log",
    genes: Genes = "hvg",
    neighbours: int = 0,
    panels: bool = False,
) -> Components:
    """Fit at most `n_components` on the slides of the corpus, or on `MOST` spots of them. All seeds share them.

    Args:
        neighbours: over which the scaled values of each spot are averaged before.
        panels: whether genes are used that only some of the slides have measured; on the others they are 0.
    """
    from sklearn.decomposition import PCA  # slow to import

    corpus = corpus.thinned(MOST)
    chosen = RULES[genes](corpus, n_genes, panels)
    mean, variance = (of_all[chosen] for of_all in moments(corpus))
    deviation = np.sqrt(np.where(variance > 0, variance, 1))
    scaling = Scaling(normalisation, chosen, mean.astype(np.float32), deviation.astype(np.float32), neighbours)
    slides = [*corpus]
    values, first = np.empty((sum(slide.n_obs for slide in slides), len(chosen)), np.float32), 0
    for slide in slides:  # each into its place, so that nothing is held twice
        values[first : first + slide.n_obs] = scaling.values(slide)
        first += slide.n_obs
    n_components = max(1, min(n_components, len(chosen) - 1, len(values) - 1))
    return Components(scaling, PCA(n_components, svd_solver="covariance_eigh").fit(values))
