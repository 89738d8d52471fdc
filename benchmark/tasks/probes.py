"""Probes: small classifiers of frozen embeddings (k-NN, linear, MLP), and the most frequent label as a lower bound."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Literal, get_args

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.tasks.sampling import in_parts
from benchmark.tasks.scaling import check_embedding, scaling
from benchmark.tasks.tuning import choose

K_NEIGHBOURS = 10
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)  # of the linear probe, beside the mean loss of a spot; the strongest first
MOST_STEPS = 5000  # of the linear probe; components of PCA take about 50
Probe = Literal["knn", "linear", "mlp", "majority"]
TITLES: Mapping[str, str] = {
    "knn": "k-NN probe",
    "linear": "linear probe",
    "mlp": "MLP probe",
    "majority": "the most frequent training label",
}
PROBES: tuple[Probe, ...] = get_args(Probe)


class NotConverged(UnitBenchError):
    """The linear probe has not reached its optimum."""


def predict(
    probe: str,
    train: np.ndarray,
    label: np.ndarray,
    test: np.ndarray,
    seed: int = 0,
    group: np.ndarray | None = None,
) -> np.ndarray:
    """Labels `[n_test]` of the spots of `test` `[n_test, d]`, by a probe fitted on `train` `[n_train, d]` and `label`.

    The linear and the MLP probe standardise each dimension on the training spots. The k-NN (Euclidean) does so, or
    takes the embedding as it is. This, and the penalty of the linear probe, are chosen on the training spots alone
    (`tuning.choose`). If all training spots have one label, every test spot gets it.

    Args:
        seed: of the MLP, and of the spots that choices are made on.
        group: the donor, say, of each training spot, `[n_train]`; choices are made on groups that were left out.

    Raises:
        UnitBenchError: no training spot, no dimension, or values that are not finite.
        NotConverged: of the linear probe.
    """
    if len(label) == 0:
        raise UnitBenchError(f"probe {probe}", "no labelled training spot", "hold out fewer slides")
    check_embedding(train, test)
    if (label == label[0]).all() or probe == "majority":
        values, count = np.unique(label, return_counts=True)
        return np.repeat(values[count.argmax()], len(test))
    match probe:
        case "knn":
            standardise = scale_matters(train, label, seed, group)
            return knn(train, label, test, standardise=standardise)
        case "linear":
            fits = [partial(linear, penalty=penalty) for penalty in PENALTIES]
            return fits[choose(fits, train, label, group, seed)](train, label, test)
        case "mlp":
            return mlp(train, label, test, seed)
    raise ValueError(f"unknown probe {probe!r}")


def scale_matters(train: np.ndarray, label: np.ndarray, seed: int = 0, group: np.ndarray | None = None) -> bool:
    """Whether the k-NN does better on left-out training spots once each dimension is standardised.

    Principal components are best as they are: those of little variance are mostly noise. An embedding with one large
    dimension that says nothing is best standardised. Arguments as for `predict`.
    """
    return choose([partial(knn, standardise=it) for it in (False, True)], train, label, group, seed) == 1


def knn(train: np.ndarray, label: np.ndarray, test: np.ndarray, standardise: bool) -> np.ndarray:
    """Labels of `test`, as for `predict`, by the 10 nearest training spots."""
    from sklearn.neighbors import KNeighborsClassifier

    scale = scaling(train) if standardise else np.asarray
    model = KNeighborsClassifier(min(K_NEIGHBOURS, len(label))).fit(scale(train), label)
    return in_parts(lambda part: model.predict(scale(part)), test)


def linear(train: np.ndarray, label: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    """Labels of `test`, as for `predict`, by logistic regression: mean loss + `penalty` / 2 × squared weights."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scale = scaling(train)
    model = LogisticRegression(C=1 / (penalty * len(label)), max_iter=MOST_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(scale(train).astype(np.float64), label)
        except ConvergenceWarning:
            cause = f"not converged in {MOST_STEPS} steps at penalty {penalty:g}"
            raise NotConverged("linear probe", cause, "scale the embedding") from None
    return in_parts(lambda part: model.predict(scale(part).astype(np.float64)), test)


def mlp(train: np.ndarray, label: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Labels of `test`, as for `predict`, by a network of one hidden layer."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    scale = scaling(train)
    batch = min(256, len(label))
    model = MLPClassifier((64,), batch_size=batch, learning_rate_init=3e-3, alpha=1e-3, max_iter=30, random_state=seed)
    with warnings.catch_warnings():
        # 30 epochs are the protocol's, so the warning about stopping early means nothing.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scale(train), label)
    return in_parts(lambda part: model.predict(scale(part)), test)
