"""Labels that do not fit between slides: found before anything is trained, since each is scored as wrong for all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from benchmark.core.contracts import Task, offer
from benchmark.core.errors import UnitBenchError
from benchmark.data.corpus import Corpus
from benchmark.data.splits import Fold
from benchmark.tasks.served import FEATURES, served, unserved

MISSPELT = 0.9  # share of letters that two spellings of one word have in common


class Mismatch(NamedTuple):
    """A label of test slides that no training slide of the fold has, so that no probe can learn it.

    slides: all slides that have it.
    near: labels of the training slides that may mean the same.
    """

    task: str
    fold: str
    label: str
    slides: tuple[str, ...]
    near: tuple[str, ...]

    def __str__(self) -> str:
        where = ", ".join(self.slides)
        only = f"on slide {where} only" if len(self.slides) == 1 else f"on no training slide, but on {where}"
        near = f"; is it {' or '.join(map(repr, self.near))}?" if self.near else ""
        return f"task {self.task!r}, {self.fold}: label {self.label!r} is {only}{near}"


def mismatched(task: Task, corpus: Corpus, fold: Fold) -> list[Mismatch]:
    """The labels of a task that occur on test slides of the fold and on no training slide."""
    slides_of = {label: tuple(counts) for label, counts in _counts(task, corpus).items()}
    learned = sorted(label for label, slides in slides_of.items() if set(slides) & set(fold.fit))
    return [
        Mismatch(task.name, fold.name, label, slides, tuple(other for other in learned if alike(label, other)))
        for label, slides in slides_of.items()
        if label not in learned and set(slides) & set(fold.test)
    ]


def alike(a: str, b: str) -> bool:
    """Whether two labels may mean the same: case, blanks, "1" and "1.0", "L1" and "Layer 1", a misspelling."""
    a, b = _plain(a), _plain(b)
    (words_a, code_a), (words_b, code_b) = ((re.sub(r"[\d+-]", "", x), re.sub(r"[^\d+-]", "", x)) for x in (a, b))
    if a == b or code_a != code_b:
        return a == b
    short = bool(code_a) and (words_a.startswith(words_b) or words_b.startswith(words_a))
    return short or SequenceMatcher(None, a, b).ratio() >= MISSPELT


def _plain(label: str) -> str:
    """Without case, blanks, `_` and hyphens (but with the `-` of "ER-"); a number without a needless ".0"."""
    label = re.sub(r"[\s_]+|(?<=\w)-(?=\w)", "", label).casefold()
    return re.sub(r"^(\d+)\.0*$", r"\1", label)


def check_labels(task: Task, corpus: Corpus, folds: Iterable[Fold]) -> Iterator[str]:
    """A line for each label that does not fit, and for each pair of labels that may mean the same.

    Args:
        folds: those of the run.

    Raises:
        UnitBenchError: the task cannot score anything in any of the folds that it runs in.
    """
    if task.requires not in FEATURES:
        return
    folds = [fold for fold in folds if not fold.transductive or set(task.splits) > {"donor"}]
    reasons = [unscorable(task, corpus, fold) for fold in folds]
    if folds and all(reasons):
        raise UnitBenchError(f"task {task.name!r}", f"scores nothing in any fold: {reasons[0]}", _remedy(task))
    for fold in folds:
        yield from map(str, mismatched(task, corpus, fold))
    for a, b in combinations(sorted(_counts(task, corpus)), 2):
        if alike(a, b):
            yield f"task {task.name!r}: labels {a!r} and {b!r} may mean the same; if so, give them one name"


def unscorable(task: Task, corpus: Corpus, fold: Fold) -> str:
    """Why a task of embeddings scores nothing in a fold, whatever the method; empty if it scores something."""
    reason, counts = unserved(task, corpus, fold.fit, fold.test), _counts(task, corpus)
    if reason or not counts or fold.transductive:
        return reason
    if not any(set(slides) & set(fold.fit) and set(slides) & set(fold.test) for slides in counts.values()):
        return "no label of the test slides is on a training slide"
    least = offer(task, "min_support")
    tested = [[n.get(slide, 0) for n in counts.values()] for slide in fold.test]
    if all(sum(n > 0 for n in slide) < 2 for slide in tested):  # labels of whole slides: these are scored together
        tested = [[sum(n) for n in zip(*tested, strict=True)]]
    if least and not any(sum(n >= least for n in slide) > 1 for slide in tested):
        return f"no test slide has two labels with at least {least} spots each"
    return ""


def _remedy(task: Task) -> str:
    """What to do about a task that scores nothing."""
    key = offer(task, "key")
    column = {None: "", "label": "name their column in `label` of the description, or "}
    return f"{column.get(key, f'add {key!r} to `keep` of the description, or ')}drop the task"


def _counts(task: Task, corpus: Corpus) -> dict[str, dict[str, int]]:
    """The number of spots of each label on each slide that the task can use; nothing for a task without labels."""
    return {} if offer(task, "key") is None else _read(corpus, offer(task, "key"), served(task, corpus))


@lru_cache(maxsize=8)
def _read(corpus: Corpus, key: str, slides: tuple[str, ...]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for slide in slides:
        if key == "label":  # the record has them, so that no slide is read
            of_slide = corpus.record["slides"][slide]["labels"]
        else:
            of_slide = corpus[slide].obs[key].dropna().astype(str).value_counts().to_dict()
        for label, n in of_slide.items():
            counts.setdefault(label, {})[slide] = n
    return dict(sorted(counts.items()))
