"""The two sides of a split: spots that a probe learns from, and spots that it is tested on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmark.core.config import Splits
from benchmark.core.contracts import Split, Spots, Task, offer
from benchmark.data.corpus import Corpus
from benchmark.data.splits import block_spots, random_spots
from benchmark.tasks.served import served

Embeddings = Mapping[str, np.ndarray]  # of each slide, [n_spots, d]


class Part(NamedTuple):
    """Some spots of a slide, by index `[n]`, and their labels `[n]`. `group`: that of the slide, such as its donor."""

    slide: str
    group: str
    spots: np.ndarray
    label: np.ndarray


def labelled(corpus: Corpus, task: Task, slides: Iterable[str]) -> list[Part]:
    """The spots with a label of those slides that the task can use. A task without labels has all spots, label ""."""
    key, usable, parts = offer(task, "key"), served(task, corpus), []
    for slide in slides:
        if slide not in usable:
            continue
        parts.append(Part(slide, corpus.record["slides"][slide]["group"], *_labels(corpus, slide, key)))
    return parts


@lru_cache(maxsize=32)
def _labels(corpus: Corpus, slide: str, key: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The spots with a label, and their labels. All arms share them."""
    label = corpus[slide].obs[key] if key else pd.Series("", range(corpus[slide].n_obs))
    spots = np.flatnonzero(label.notna())
    return spots, label.to_numpy(dtype=object)[spots].astype(str)


def sides(
    splits: Splits, corpus: Corpus, task: Task, split: Split, record: Mapping, embeddings: Embeddings
) -> Iterator[tuple[str, Spots, Spots]]:
    """Training and test spots of each repeat of a split, with the name of the fold or repeat.

    Within slides every test spot is reported under its own slide, as with donors held out, so that scores of all splits
    are means over the same slides.

    Args:
        record: of the arm; it says which slides were held out.

    Raises:
        UnitBenchError: blocks that leave no training spot or no test spot on a slide.
    """
    counted = corpus if offer(task, "key") is None else None
    if split == "donor":
        fit, held_out = (labelled(corpus, task, record["seen"][side]) for side in ("fit", "test"))
        yield record["fold"], spots_of(embeddings, fit, counted), spots_of(embeddings, held_out, counted)
        return
    parts = labelled(corpus, task, sorted(embeddings))
    for repeat in range(splits.repeats[split]):
        train: list[Part] = []
        test: list[Part] = []
        for part in parts:
            rng = np.random.default_rng([repeat, crc32(part.slide.encode())])
            position = corpus[part.slide].obsm["position"][part.spots]
            for side, chosen in zip((train, test), _divide(splits, split, position, rng), strict=True):
                side.append(part._replace(spots=part.spots[chosen], label=part.label[chosen]))
        yield f"repeat{repeat}", spots_of(embeddings, train, counted), spots_of(embeddings, test, counted)


def _divide(
    splits: Splits, split: Split, position: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training spots and of the test spots of a slide; `position` `[n_spots, 2]`, in pitches."""
    if split == "random":
        return random_spots(len(position), splits.random_test, rng)
    if split == "few_labels":
        return random_spots(len(position), 1 - splits.few_labels, rng)
    return block_spots(position, splits.block_cells, splits.random_test, splits.block_buffer, rng)


def spots_of(embeddings: Embeddings, parts: list[Part], counted: Corpus | None = None) -> Spots:
    """The spots of several slides, with their raw counts where `counted`, the corpus to read them from, is given."""
    n_spots = [len(part.spots) for part in parts]
    slide, group = (np.repeat([getattr(part, name) for part in parts], n_spots) for name in ("slide", "group"))
    return Spots(
        np.concatenate([embeddings[part.slide][part.spots] for part in parts]),
        np.concatenate([part.label for part in parts]),
        slide,
        sp.vstack([counted[part.slide].X[part.spots] for part in parts], format="csr") if counted else None,
        group if len({part.group for part in parts}) > 1 else slide,
    )
