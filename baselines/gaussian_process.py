"""Control of reconstruction: kriging, the best linear prediction from the visible spots under one covariance."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree

from baselines.interpolation import Zero

if TYPE_CHECKING:
    from sklearn.gaussian_process.kernels import Kernel

# These bound the time. If there are more spots, the ones nearest to a hidden spot are kept: the others weigh little.
MOST_SPOTS = 2000
SPOTS_OF_FIT, GENES_OF_FIT = 200, 32


class GaussianProcess(Zero):
    """Simple kriging of each gene around its mean over the visible spots, with one kernel for all genes of a slide.

    The kernel is a Matérn field (ν = 3/2) with measurement noise. So a spot gets the gene's mean where its neighbours
    tell nothing. Kernel and data come from the visible spots of the slide alone.
    """

    def _fill(self, seen: sp.csr_matrix, position: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        visible, wanted = (position[side].astype(np.float64) for side in (~hidden, hidden))
        near = np.argsort(cKDTree(wanted).query(visible)[0], kind="stable")[:MOST_SPOTS]
        mean = np.asarray(seen.mean(axis=0), dtype=np.float32).ravel()
        centred = seen[near].toarray() - mean
        kernel = fit_kernel(visible[near[:SPOTS_OF_FIT]], centred[:SPOTS_OF_FIT])
        if kernel is None:
            return mean
        return mean + weights(kernel, visible[near], wanted).astype(np.float32) @ centred


def fit_kernel(position: np.ndarray, values: np.ndarray) -> Kernel | None:
    """The covariance of greatest likelihood for the genes that vary most, each scaled to variance 1.

    It is fitted to genes and not to principal components. Components are far less noisy than genes, so the noise would
    come out too small.

    Args:
        position: `[n_spots, 2]`, in pitches.
        values: `[n_spots, n_genes]`.

    Returns:
        The fitted kernel; None where no gene varies.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    variance = values.var(axis=0)
    genes = np.argsort(-variance, kind="stable")[:GENES_OF_FIT]
    genes = genes[variance[genes] > 0]
    if not len(genes):
        return None
    field = ConstantKernel(0.5, (1e-4, 10)) * Matern(2.0, (0.5, 50), nu=1.5)
    model = GaussianProcessRegressor(field + WhiteKernel(0.5, (1e-3, 10)), alpha=0, normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound is a valid result: no field, or no noise
        return model.fit(position, values[:, genes].astype(np.float64)).kernel_


def weights(kernel: Kernel, visible: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weight of each visible spot `[n_visible, 2]` at each wanted position `[n_wanted, 2]`: `[n_wanted, n_visible]`.

    The posterior mean is linear in the values, so one factorisation serves all genes (Rasmussen and Williams, Gaussian
    Processes for Machine Learning, 2006, equation 2.23).
    """
    return cho_solve(cho_factor(kernel(visible)), kernel(visible, wanted)).T
