"""The regressors of HEST-Bench (Jaume et al. 2024, arXiv 2406.16192), from image features to expression."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.tasks.sampling import in_parts

TREES = {
    "n_estimators": 100,
    "max_depth": 3,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "reg_lambda": 1,
    "random_state": 1,
    "n_jobs": 1,
}


def reduced(train: np.ndarray, test: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """First principal components of the standardised features, `[n_train, c]` and `[n_test, c]`.

    Both steps are fitted on `train` `[n_train, d]`. There are `n_components`, or as many as `train` allows.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n_components = min(n_components, *train.shape)
    model = make_pipeline(StandardScaler(), PCA(n_components, svd_solver="covariance_eigh"))
    return model.fit_transform(train), in_parts(model.transform, test)


def xgboost(features: np.ndarray, target: np.ndarray) -> Any:
    """100 trees of depth 3 for each gene, fitted to `features` `[n_train, c]` and `target` `[n_train, n_genes]`."""
    from xgboost import XGBRegressor

    return XGBRegressor(**TREES).fit(features, target)


def ridge(features: np.ndarray, target: np.ndarray) -> Any:
    """Ridge regression, fitted as `xgboost`; its penalty is 100 / (number of features × number of genes)."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=100 / (features.shape[1] * target.shape[1])).fit(features, target)
