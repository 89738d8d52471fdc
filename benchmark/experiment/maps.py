"""Maps of the tissue: the label of each test spot, and the label that a probe predicts there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.core.contracts import Task, offer
from benchmark.data.corpus import Corpus
from benchmark.experiment.sides import Embeddings, labelled, spots_of

MOST_DRAWN = 20_000  # spots of a slide that are drawn one by one; the map of a larger one is made of pixels,
MOST_PIXELS = 200  # so many along its longer side
NO_MAP = pd.DataFrame(columns=["slide", "donor", "y", "x", "label", "method", "budget", "prediction", "pixel"])
# The types of other maps, so that they can be joined.
NO_MAP = NO_MAP.astype({"y": "f4", "x": "f4", "budget": "f8", "pixel": "i8"})


def predicted_map(corpus: Corpus, task: Task, record: Mapping, embeddings: Embeddings) -> pd.DataFrame:
    """Position in pitches, label and prediction of every labelled test spot of an arm, one row a spot.

    Of a slide with more than `MOST_DRAWN` such spots there is one row for each pixel, with its centre and the most
    frequent label and prediction of its spots. `pixel` is its side in pitches, 0 where a row is a spot.
    """
    fit, parts = (labelled(corpus, task, record["seen"][side]) for side in ("fit", "test"))
    predicted = offer(task, "predictions")(spots_of(embeddings, fit), spots_of(embeddings, parts))
    maps, n_before = [NO_MAP], 0
    for part in parts:
        prediction = predicted[n_before : n_before + len(part.spots)]
        n_before += len(part.spots)
        position, label, pixel = corpus[part.slide].obsm["position"][part.spots], part.label, 0
        if len(label) > MOST_DRAWN:
            pixel = max(1, int(np.ceil(np.ptp(position, axis=0).max() / MOST_PIXELS)))
            position, (label, prediction) = raster(position, pixel, label, prediction)
        columns = {"slide": part.slide, "donor": corpus.record["slides"][part.slide]["donor"]}
        columns |= {"y": position[:, 0], "x": position[:, 1], "label": label, "method": record["method"]}
        columns |= {"budget": record["amount"], "prediction": prediction, "pixel": pixel}
        maps.append(pd.DataFrame(columns))
    return pd.concat(maps, ignore_index=True)


def raster(position: np.ndarray, pixel: int, *values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The centres of the pixels that hold a spot, float32 `[n_pixels, 2]`, and what most of their spots have.

    Args:
        position: `[n_spots, 2]`.
        pixel: the side of a pixel, in the unit of the positions.
        values: words `[n_spots]`; each gives one word a pixel, `[n_pixels]`, the first in order of equals.
    """
    cell, place = np.unique(np.floor(position / pixel).astype(int), axis=0, return_inverse=True)
    return ((cell + 0.5) * pixel).astype(np.float32), [_most_frequent(words, place) for words in values]


def _most_frequent(words: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The most frequent of the `words` `[n]` at each place; `place` `[n]` counts from 0 and leaves none out."""
    known, number = np.unique(words, return_inverse=True)
    pair, count = np.unique(place * len(known) + number, return_counts=True)
    place, number = np.divmod(pair, len(known))
    order = np.lexsort((number, -count, place))
    return known[number[order][np.unique(place[order], return_index=True)[1]]]
