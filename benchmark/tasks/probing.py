"""Tasks of labels by probes: every probe is fitted on the training spots, and every test slide scored by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from benchmark.core.contracts import Measured, NotApplicable, Spots
from benchmark.metrics.labels import undecided
from benchmark.tasks.probes import NotConverged, predict
from benchmark.tasks.sampling import sampled

# truth [n_test], predicted [n_test] and min_support → values by metric
Metrics = Callable[[np.ndarray, np.ndarray, int], dict[str, float]]


def score_probes(
    probes: Iterable[str], metrics: Metrics, min_support: int, train: Spots, test: Spots, seed: int
) -> Iterator[Measured | NotApplicable]:
    """A row for each probe, slide and metric.

    Where no slide has two labels (a status of the patient, say), all test slides are scored together, as "pooled".
    A slide is left out, with its reason, if fewer than two of its labels have `min_support` spots: there a constant
    answer would be right. So is a probe that has not converged. Probes are fitted on a sample of the training spots
    where they are very many (`sampling.sampled`), and `n_train` and the note of a row say so.
    """
    if not any(len(set(side.label[side.slide == slide])) > 1 for side in (train, test) for slide in set(side.slide)):
        test = replace(test, slide=np.repeat("pooled", len(test.slide)))
    train, note = sampled(train)
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
                yield Measured(probe, metric, value, slide, len(train.label), int(here.sum()), note)
