"""Agreement of predicted with measured expression: errors and correlations, gene by gene."""

from __future__ import annotations

import numpy as np


def reconstruction(truth: np.ndarray, predicted: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Agreement of two `[n_spots, n_genes]`; what has nothing to be taken over is left out.

    Errors are means over all values, and over those that are truly zero or not. `r2` is 1 − (squared error of the
    prediction / squared error of `expected`), both summed over all values: 0 for who says what each gene is on average
    in the training slides. Correlations over spots are means over genes; a gene whose truth or prediction is constant
    counts as 0.

    Args:
        expected: each gene's mean over the training slides, `[n_genes]`.
    """
    from scipy.stats import rankdata  # slow to import, and pretraining ranks nothing

    error = predicted.astype(np.float64) - truth
    found = {}
    for suffix, part in (("", error), ("_zero", error[truth == 0]), ("_nonzero", error[truth != 0])):
        if part.size:
            found |= {f"mse{suffix}": float(np.mean(part**2)), f"mae{suffix}": float(np.mean(np.abs(part)))}
    if (total := np.sum((expected - truth.astype(np.float64)) ** 2)) > 0:
        found["r2"] = float(1 - np.sum(error**2) / total)
    found["pearson"] = float(np.mean(pearson(truth, predicted)))
    found["spearman"] = float(np.mean(pearson(rankdata(truth, axis=0), rankdata(predicted, axis=0))))
    return found


def imputation(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Means over genes of what is taken over spots, from two `[n_spots, n_genes]`.

    Correlations of a gene whose truth or prediction is constant count as 0.
    """
    from scipy.stats import rankdata  # slow to import, and predicting ranks nothing

    error = predicted.astype(np.float64) - truth
    return {
        "pearson": float(np.mean(pearson(truth, predicted))),
        "spearman": float(np.mean(pearson(rankdata(truth, axis=0), rankdata(predicted, axis=0)))),
        "rmse": float(np.mean(np.sqrt(np.mean(error**2, axis=0)))),
    }


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of `a` with that of `b`, `[n_columns]`; 0 where either is constant."""
    varies = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    a, b = (x[:, varies] - x[:, varies].mean(axis=0, dtype=np.float64) for x in (a, b))
    correlation = np.zeros(len(varies))
    correlation[varies] = (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return correlation
