"""Tasks of labels by probes: every probe is fitted on all training spots, and every test slide scored by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from benchmark.core.contracts import Measured, NotApplicable, Spots
from benchmark.metrics.labels import undecided
from benchmark.tasks.probes import NotConverged, predict

# truth [n_test], predicted [n_test] and min_support → values by metric
Metrics = Callable[[np.ndarray, np.ndarray, int], dict[str, float]]


def score_probes(
    probes: Iterable[str], metrics: Metrics, min_support: int, train: Spots, test: Spots, seed: int
) -> Iterator[Measured | NotApplicable]:
    """A row for each probe, slide and metric.

    A slide is left out, with its reason, if fewer than two of its labels have `min_support` spots: there a constant
    answer would be right. So is a probe that has not converged.
    """
    reasons = {str(slide): undecided(test.label[test.slide == slide], min_support) for slide in np.unique(test.slide)}
    for probe in probes:
        try:
            predicted = predict(probe, train.embedding, train.label, test.embedding, seed, train.group)
        except NotConverged as error:
            yield from (NotApplicable(probe, str(error), slide) for slide in reasons)
            continue
        for slide, reason in reasons.items():
            if reason:
                yield NotApplicable(probe, reason, slide)
                continue
            here = test.slide == slide
            for metric, value in metrics(test.label[here], predicted[here], min_support).items():
                yield Measured(probe, metric, value, slide, len(train.label), int(here.sum()))
