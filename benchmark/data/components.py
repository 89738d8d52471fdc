"""Principal components of scaled, log-normalised genes, all fitted on the slides of a corpus."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from benchmark.data.gene_selection import moments, random_genes, top_dispersion, top_moran, top_variance
from benchmark.data.neighbours import neighbour_mean
from benchmark.data.normalisation import CLIP, normalised, slide_z
from benchmark.data.panel import measured

if TYPE_CHECKING:
    import anndata as ad

    from benchmark.data.corpus import Corpus

# A gene is scaled by its mean and deviation over all training spots ("log"), or over its own slide ("slide_z").
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
        return neighbour_mean(self._scaled(slide), slide.obsm["position"], self.neighbours)

    def _scaled(self, slide: ad.AnnData) -> np.ndarray:
        """Within ±`CLIP`; 0, the mean, for a gene that the slide lacks."""
        values = normalised(slide)[:, self.genes].toarray()
        if self.normalisation == "slide_z":
            return slide_z(values)
        values = np.clip((values - self.mean) / self.deviation, -CLIP, CLIP)
        values[:, ~measured(slide)[self.genes]] = 0
        return values

    def moments(self, slide: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each gene that `values` of the slide were scaled by, `[n_genes]`."""
        if self.normalisation == "log":
            return self.mean, self.deviation
        values = normalised(slide)[:, self.genes].toarray()
        return values.mean(axis=0), values.std(axis=0)


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
) -> Components:
    """Fit at most `n_components` on the slides of the corpus. They are exact, so all seeds share them.

    Args:
        neighbours: over which the scaled values of each spot are averaged before.
    """
    from sklearn.decomposition import PCA  # slow to import

    chosen = RULES[genes](corpus, n_genes)
    mean, variance = (of_all[chosen] for of_all in moments(corpus))
    deviation = np.sqrt(np.where(variance > 0, variance, 1))
    scaling = Scaling(normalisation, chosen, mean.astype(np.float32), deviation.astype(np.float32), neighbours)
    values = np.concatenate([scaling.values(slide) for slide in corpus])
    n_components = max(1, min(n_components, len(chosen) - 1, len(values) - 1))
    return Components(scaling, PCA(n_components, svd_solver="covariance_eigh").fit(values))
