"""Probes: small classifiers of frozen embeddings (k-NN, linear, MLP), and the most frequent label as a lower bound."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmark.core.errors import UnitBenchError

K_NEIGHBOURS = 10
TITLES = {
    "knn": "k-NN probe",
    "linear": "linear probe",
    "mlp": "MLP probe",
    "majority": "the most frequent training label",
}
PROBES = tuple(TITLES)


def predict(probe: str, train: np.ndarray, label: np.ndarray, test: np.ndarray, seed: int = 0) -> np.ndarray:
    """Labels `[n_test]` of the spots of `test` `[n_test, d]`, by a probe fitted on `train` `[n_train, d]` and `label`.

    The linear and the MLP probe standardise each dimension on the training spots. The k-NN (Euclidean) takes the
    embedding as it is. If all training spots have one label, every test spot gets it.

    Raises:
        UnitBenchError: there is no training spot.
    """
    from sklearn.exceptions import ConvergenceWarning

    if len(label) == 0:
        raise UnitBenchError(f"probe {probe}", "no labelled training spot", "hold out fewer slides")
    model = _model("majority" if (label == label[0]).all() else probe, len(label), seed)
    with warnings.catch_warnings():
        # The number of steps is part of the protocol, so the warning about stopping early means nothing.
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted: np.ndarray = model.fit(train, label).predict(test)
    return predicted


def _model(probe: str, n_train: int, seed: int) -> Any:
    """A classifier of scikit-learn."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    match probe:
        case "knn":
            return KNeighborsClassifier(n_neighbors=min(K_NEIGHBOURS, n_train))
        case "linear":
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        case "mlp":
            network = MLPClassifier(
                (64,), batch_size=min(256, n_train), learning_rate_init=3e-3, alpha=1e-3, max_iter=30, random_state=seed
            )
            return make_pipeline(StandardScaler(), network)
        case "majority":
            return DummyClassifier(strategy="most_frequent")
    raise ValueError(f"unknown probe {probe!r}")
