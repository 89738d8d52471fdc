"""Statistics that genes are chosen by (variance, dispersion, spatial variation over slides), and weighted draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from benchmark.data.neighbours import morans_i
from benchmark.data.normalisation import lognorm

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


def top_variance(corpus: Corpus, n_genes: int) -> np.ndarray:
    """Indices of the genes whose log-normalised value varies most over all spots of `corpus`, greatest first.

    `[n_genes]`, or all genes of the corpus if they are fewer.
    """
    _, variance = moments(corpus)
    return np.argsort(-variance, kind="stable")[:n_genes]


def top_log_variance(counts: sp.csr_matrix, n_genes: int) -> np.ndarray:
    """Indices of the genes whose log1p of raw counts `[n_spots, n_all_genes]` varies most, greatest first."""
    values = sp.csr_matrix(counts, dtype=np.float64).log1p()
    mean = np.asarray(values.mean(axis=0)).ravel()
    variance = np.asarray(values.multiply(values).mean(axis=0)).ravel() - mean**2
    return np.argsort(-variance, kind="stable")[:n_genes]


def top_dispersion(corpus: Corpus, n_genes: int) -> np.ndarray:
    """Indices of the genes with the greatest dispersion among genes of similar mean over `corpus`, greatest first."""
    return _order(*moments(corpus, per_ten_thousand))[:n_genes]


def by_dispersion(values: sp.csr_matrix) -> np.ndarray:
    """All genes in the order of `top_dispersion`, for counts per 10,000 `[n_spots, n_genes]`."""
    mean = np.asarray(values.mean(axis=0)).ravel().astype(np.float64)
    square = np.asarray(values.multiply(values).mean(axis=0)).ravel()
    return _order(mean, np.maximum(square - mean**2, 0))


def _order(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Genes by normalised dispersion.

    The rule of Satija et al. 2015 that scanpy calls flavour "seurat": the log of variance over mean of the counts per
    10,000, standardised within 20 bins of log1p of the mean. Constant genes come last.
    """
    import pandas as pd

    varies = variance > 0
    dispersion = np.log(variance, where=varies, out=np.full_like(variance, np.nan))
    dispersion -= np.log(mean, where=varies, out=np.zeros_like(mean))
    in_bin = pd.Series(dispersion).groupby(pd.cut(np.log1p(mean), bins=20, labels=False))
    standardised = (dispersion - in_bin.transform("mean")) / in_bin.transform("std")
    # A gene that is alone in its bin has no standard deviation; scanpy gives it 1.
    standardised = np.where(varies, standardised.fillna(1.0), -np.inf)
    return np.argsort(-standardised, kind="stable")


@lru_cache(maxsize=16)
def spatial_variation(corpus: Corpus) -> np.ndarray:
    """Moran's I of each gene's log-normalised value, mean over the slides of `corpus`, `[n_genes]`."""
    return np.mean([morans_i(lognorm(slide.X), slide.obsm["position"]) for slide in corpus], axis=0)


def per_ten_thousand(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Counts per 10,000 of their spot, float32."""
    return lognorm(counts).expm1()


@lru_cache(maxsize=16)
def moments(
    corpus: Corpus, normalise: Callable[[sp.csr_matrix], sp.csr_matrix] = lognorm
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each gene's normalised value over all spots of `corpus`, `[n_genes]` each, read-only."""
    total, squares = np.zeros(len(corpus.genes)), np.zeros(len(corpus.genes))
    for slide in corpus:
        values = normalise(slide.X)
        total += np.bincount(values.indices, values.data, minlength=len(total))  # sums in float64
        squares += np.bincount(values.indices, np.square(values.data, dtype=np.float64), minlength=len(total))
    mean = total / corpus.n_spots
    variance = np.maximum(squares / corpus.n_spots - mean**2, 0)
    mean.flags.writeable = variance.flags.writeable = False
    return mean, variance


def draw_weighted(weights: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `m` genes in each row without replacement; the chance of a gene at each draw is proportional to its weight.

    Each gene gets a random time from an exponential distribution whose rate is its weight, and the first `m` are drawn.
    This is the weighted reservoir of Efraimidis and Spirakis (2006, Information Processing Letters 97). Its keys are on
    a log scale, so small weights do not underflow.

    Args:
        weights: at least 0, `[n, n_genes]`; a gene of weight 0 is drawn only if no other is left.

    Returns:
        int64 `[n, m]`, in no particular order.
    """
    time = rng.standard_exponential(weights.shape, dtype=np.float32)
    time /= np.maximum(weights, 1e-10, dtype=np.float32)
    return np.argpartition(time, m - 1, axis=1)[:, :m]
