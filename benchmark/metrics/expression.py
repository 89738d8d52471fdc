"""Agreement of predicted with measured expression: errors and correlations, gene by gene."""

from __future__ import annotations

import numpy as np

from benchmark.core.errors import UnitBenchError


def reconstruction(truth: np.ndarray, predicted: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Errors and correlations of two `[n_spots, n_genes]`.

    Errors are means over all values, over those whose truth is zero (`_zero`), and over the others (`_nonzero`). `r2`
    is 1 − (squared error of the prediction / squared error of `expected`), both summed over all values: it is 0 for
    the gene means of the training slides. Correlations over spots are means over genes. An error over no values is
    left out, and so is `r2` if `expected` has no error.

    Args:
        expected: each gene's mean over the training slides, `[n_genes]`.

    Raises:
        UnitBenchError: NaN or infinite values, of this and all functions below.
    """
    check_finite(truth, predicted, expected)
    error = predicted.astype(np.float64) - truth
    values: dict[str, float] = {}
    for suffix, part in (("", error), ("_zero", error[truth == 0]), ("_nonzero", error[truth != 0])):
        if part.size:
            values |= {f"mse{suffix}": float(np.mean(part**2)), f"mae{suffix}": float(np.mean(np.abs(part)))}
    if (total := np.sum((expected - truth.astype(np.float64)) ** 2)) > 0:
        values["r2"] = float(1 - np.sum(error**2) / total)
    return values | {"pearson": mean_pearson(truth, predicted), "spearman": mean_spearman(truth, predicted)}


def imputation(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Correlations and root mean squared error over spots of two `[n_spots, n_genes]`, means over genes."""
    check_finite(truth, predicted)
    error = predicted.astype(np.float64) - truth
    return {
        "pearson": mean_pearson(truth, predicted),
        "spearman": mean_spearman(truth, predicted),
        "rmse": float(np.mean(np.sqrt(np.mean(error**2, axis=0)))),
    }


def mean_pearson(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's correlation over the rows of two `[n_spots, n_columns]`, mean over columns.

    A column that is constant in either counts as 0.
    """
    return float(np.mean(pearson(truth, predicted)))


def mean_spearman(truth: np.ndarray, predicted: np.ndarray) -> float:
    """As `mean_pearson`, of the ranks."""
    from scipy.stats import rankdata  # slow to import, and pretraining ranks nothing

    check_finite(truth, predicted)
    return mean_pearson(rankdata(truth, axis=0), rankdata(predicted, axis=0))


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of `a` with that of `b`, `[n_columns]`; 0 if either is constant."""
    check_finite(a, b)
    varies = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    a, b = (x[:, varies].astype(np.float64) for x in (a, b))
    a, b = (x / np.abs(x).max(axis=0, initial=0) for x in (a, b))  # so that no square leaves the range of floats
    a, b = (x - x.mean(axis=0) for x in (a, b))
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    correlation = np.zeros(len(varies))
    correlation[varies] = np.divide((a * b).sum(axis=0), size, out=np.zeros(len(size)), where=size > 0)
    return correlation.clip(-1, 1)


def check_finite(*arrays: np.ndarray) -> None:
    """Raises UnitBenchError: an array has NaN or infinite values, or no spot; a mean would hide them."""
    for array in arrays:
        if not array.size:
            raise UnitBenchError("expression", f"nothing to score: shape {array.shape}", "give a spot and a gene")
        if not np.isfinite(array).all():
            raise UnitBenchError("expression", "NaN or infinite values", "predict finite values")
