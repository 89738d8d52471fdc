"""Maps of the tissue: the label of each test spot, and the label that a probe predicts there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.core.contracts import Task, offer
from benchmark.data.corpus import Corpus
from benchmark.experiment.sides import Embeddings, labelled, spots_of

NO_MAP = pd.DataFrame(columns=["slide", "donor", "y", "x", "label", "method", "budget", "prediction"])
NO_MAP = NO_MAP.astype({"y": "f4", "x": "f4", "budget": "f8"})  # the types of other maps, so that they can be joined


def predicted_map(corpus: Corpus, task: Task, record: Mapping, embeddings: Embeddings) -> pd.DataFrame:
    """Position in pitches, label and prediction of every labelled test spot of an arm, one row a spot."""
    fit, parts = (labelled(corpus, task, record["seen"][side]) for side in ("fit", "test"))
    test = spots_of(embeddings, parts)
    position = np.concatenate([corpus[part.slide].obsm["position"][part.spots] for part in parts])
    return pd.DataFrame(
        {
            "slide": test.slide,
            "donor": [corpus.record["slides"][slide]["donor"] for slide in test.slide],
            "y": position[:, 0],
            "x": position[:, 1],
            "label": test.label,
            "method": record["method"],
            "budget": record["amount"],
            "prediction": offer(task, "predictions")(spots_of(embeddings, fit), test),
        }
    )
