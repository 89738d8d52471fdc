"""Statistics that genes are chosen by (variance, dispersion, spatial variation over slides), and weighted draws."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from benchmark.data.neighbours import morans_i
from benchmark.data.normalisation import normalised, normalised_parts, sums

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus


def top_variance(corpus: Corpus, n_genes: int, panels: bool = False) -> np.ndarray:
    """Indices of the genes whose log-normalised value varies most over all spots of `corpus`, greatest first.

    `[n_genes]`, or all genes that every slide of the corpus (with `panels` any) has measured, if they are fewer.
    """
    return _measured(corpus, ranked_by_variance(corpus), panels)[:n_genes]


def ranked_by_variance(corpus: Corpus) -> np.ndarray:
    """All genes by the variance of their log-normalised value over the spots of `corpus`, greatest first."""
    return np.argsort(-moments(corpus)[1], kind="stable")


def _measured(corpus: Corpus, genes: np.ndarray, panels: bool) -> np.ndarray:
    """Those of the genes that every slide has measured; with `panels`, that any slide has."""
    return genes[(corpus.anywhere if panels else corpus.common)[genes]]


def top_log_variance(counts: sp.csr_matrix, n_genes: int) -> np.ndarray:
    """Indices of the genes whose log1p of raw counts `[n_spots, n_all_genes]` varies most, greatest first."""
    values = sp.csr_matrix(counts, dtype=np.float64).log1p()
    mean = np.asarray(values.mean(axis=0)).ravel()
    variance = np.asarray(values.multiply(values).mean(axis=0)).ravel() - mean**2
    return np.argsort(-variance, kind="stable")[:n_genes]


def top_dispersion(corpus: Corpus, n_genes: int, panels: bool = False) -> np.ndarray:
    """Indices of the genes with the greatest dispersion among genes of similar mean over `corpus`, greatest first.

    `[n_genes]`, or all genes that every slide of the corpus (with `panels` any) has measured, if they are fewer.
    """
    return _measured(corpus, ranked_by_dispersion(corpus), panels)[:n_genes]


def ranked_by_dispersion(corpus: Corpus) -> np.ndarray:
    """All genes by their dispersion among genes of similar mean over the spots of `corpus`, greatest first."""
    return _order(*moments(corpus, raw=True))


def top_moran(corpus: Corpus, n_genes: int, panels: bool = False) -> np.ndarray:
    """Indices of the genes with the greatest Moran's I, mean over the slides of `corpus`, greatest first.

    `[n_genes]`, or all genes that every slide of the corpus (with `panels` any) has measured, if they are fewer.
    """
    return _measured(corpus, np.argsort(-spatial_variation(corpus), kind="stable"), panels)[:n_genes]


def random_genes(corpus: Corpus, n_genes: int, panels: bool = False) -> np.ndarray:
    """Indices of random genes, the same whenever it is called: fewer are a part of more.

    `[n_genes]`, or all genes that every slide of the corpus (with `panels` any) has measured, if they are fewer.
    """
    genes = np.flatnonzero(corpus.anywhere if panels else corpus.common)
    return np.random.default_rng(0).permutation(genes)[:n_genes]


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
    """Moran's I of each gene's log-normalised value, mean over the slides that measured it, `[n_genes]`."""
    total = np.sum([morans_i(normalised(slide), slide.obsm["position"]) for slide in corpus], axis=0)
    n_slides = np.sum([corpus.measured(name) for name in corpus.names], axis=0)
    return total / np.maximum(n_slides, 1)


@lru_cache(maxsize=16)
def moments(corpus: Corpus, raw: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each gene's value over the spots where it was measured, `[n_genes]` each, read-only.

    Zeros for a gene that no slide of the corpus has measured.

    Args:
        raw: of counts per 10,000, not of their logarithms.
    """
    total, squares, n_spots = np.zeros((3, len(corpus.genes)))
    for slide in corpus:
        n_spots += slide.n_obs * corpus.measured(slide.uns["slide"])
        for values in normalised_parts(slide):
            of_part = sums(values.expm1() if raw else values)
            total += of_part[0]
            squares += of_part[1]
    n_spots = np.maximum(n_spots, 1)
    mean = total / n_spots
    variance = np.maximum(squares / n_spots - mean**2, 0)
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
