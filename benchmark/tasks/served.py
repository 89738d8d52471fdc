"""The slides that a task of embeddings can be scored on, and the reason if a fold has none."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from benchmark.core.contracts import Task, offer
from benchmark.data.tiles import has_image

if TYPE_CHECKING:
    from benchmark.data.corpus import Corpus

FEATURES = {"embed": "embeddings.npz", "embed_image": "image_embeddings.npz"}  # the file of what each function gives


def served(task: Task, corpus: Corpus) -> tuple[str, ...]:
    """The slides that a task of embeddings can be scored on: with labels, with an image, or both, as it requires."""
    return _with(corpus, offer(task, "key"), task.requires != "embed")


@lru_cache(maxsize=16)  # called for every arm, and it reads the slides
def _with(corpus: Corpus, key: str | None, image: bool) -> tuple[str, ...]:
    names = corpus.names if key is None else corpus.labelled_by(key)
    return tuple(name for name in names if has_image(corpus[name])) if image else names


def unserved(task: Task, corpus: Corpus, fit: Iterable[str], test: Iterable[str]) -> str:
    """Why a task of embeddings cannot be scored in a fold of these slides; empty if it can."""
    key = offer(task, "key")
    labelled = {None: "slide", "label": "labelled slide"}.get(key, f"slide labelled by {key!r}")
    image = " with an image" if task.requires == "embed_image" else ""
    usable = set(served(task, corpus))
    for side, purpose in ((fit, "to learn from"), (test, "to test")):
        if not usable.intersection(side):
            return f"no {labelled}{image} {purpose}"
    return ""
