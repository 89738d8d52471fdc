"""What the tasks need of a fitted method: its embeddings of slides, and its predictions, saved in the arm's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.core import registry
from benchmark.core.code import code_of_plugin
from benchmark.core.config import Config
from benchmark.core.contracts import Method, Task, offer
from benchmark.core.files import WriteError, fingerprint
from benchmark.core.reasons import reason_of
from benchmark.core.timing import WORK
from benchmark.data.corpus import Corpus
from benchmark.data.shown import shown
from benchmark.data.splits import Fold
from benchmark.experiment.folder import ArmFolder
from benchmark.tasks.served import FEATURES, served, unserved

TRANSDUCTIVE = "transductive: it embeds each slide by itself, so a probe cannot go from one slide to another"


def task_keys(config: Config) -> dict[str, str]:
    """For each task a fingerprint of its options, and of its code where it calls the method itself."""
    keys = {}
    for entry in config.tasks:
        calls = offer(registry.find("tasks", entry.task).load(), "predict")
        code = code_of_plugin("tasks", entry.task, entry.options) if calls else ""
        keys[entry.task] = fingerprint([entry.model_dump(mode="json"), code])
    return keys


@dataclass
class Outputs:
    """Outputs of one arm. `old` is its record, where some of them are made already; what is made anew is added.

    Attributes:
        method: not fitted.
        fitted: gives the fitted method. It is called only if something is to be made.
        lacking: why the method cannot do a task, by the name of the task.
        broken: why a task has no outputs although the method offers them.
        inference: FLOPs of the embeddings that were made anew, and for how many spots.
    """

    config: Config
    corpus: Corpus
    fold: Fold
    folder: ArmFolder
    old: Mapping[str, Any]
    method: Method
    fitted: Callable[[], Method]
    home: Path | None
    lacking: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    inference: dict[str, int] = field(default_factory=dict)

    def make(self) -> dict[str, Any]:
        """Save what the tasks of the config need and is not there yet. Returns what the record says of it."""
        keys, embedded = task_keys(self.config), dict(self.old.get("embedded", {}))
        needs: dict[str, dict[str, set[str]]] = {function: {} for function in FEATURES}  # slides, by task
        for entry in self.config.tasks:
            task = registry.make("tasks", entry.task, entry.options)
            if offer(self.method, task.requires) is None:
                self.lacking[entry.task] = f"the method has no {task.requires}()"
            elif offer(self.method, "transductive") and task.requires in FEATURES and not offer(task, "within_slides"):
                self.lacking[entry.task] = TRANSDUCTIVE
            elif not self._served(task):
                continue
            else:
                if task.requires in FEATURES:
                    needs[task.requires][entry.task] = set(served(task, self.corpus))
                if offer(task, "predict") and self.old.get("tasks", {}).get(entry.task) != keys[entry.task]:
                    self._try([entry.task], lambda task=task: self._predict(task))
        for function, by_task in needs.items():
            wanted = set().union(*by_task.values()) | set(embedded.get(function, []))
            if wanted - set(embedded.get(function, [])) and self._try(by_task, lambda: self._embed(function, wanted)):  # noqa: B023
                embedded[function] = sorted(wanted)
        made = {task: key for task, key in keys.items() if task not in self.broken}
        return {"tasks": made, "embedded": embedded, "lacking": self.lacking, "broken": self.broken}

    @cached_property
    def _training(self) -> Corpus:
        """The training slides of the task, as the method is shown them."""
        return self.corpus.for_methods(self.fold.fit, offer(self.method, "panels"), offer(self.method, "labels"))

    @property
    def _genes(self) -> np.ndarray | None:
        """The genes that the method is shown of a slide, bool `[n_genes]`; None: all that it has measured."""
        return None if offer(self.method, "panels") else self.corpus.subset(self.fold.learn).common

    def learned(self, what: Literal["learned", "curve"]) -> dict[str, Any]:
        """What the method says of its objective on each test slide that it has not learned from, by its name: at the
        end of its training, or on the way."""
        if offer(self.method, what) is None:
            return {}
        method, found = self.fitted(), {}
        for name in sorted(set(self.fold.test) - set(self.fold.learn)):
            with WORK, frozen(method):
                said = offer(method, what)(shown(self.corpus[name], genes=self._genes))
                found[name] = dict(said) if what == "learned" else [dict(point) for point in said]
            if not np.isfinite([*(v for point in np.atleast_1d(found[name]) for v in point.values())]).all():
                raise ValueError(f"{what}({name}) has a value that is not finite")
        return found

    def _served(self, task: Task) -> bool:
        """Whether the fold has slides for the task."""
        if self.fold.name == "all" and set(task.splits) <= {"donor"}:
            return False
        return task.requires not in FEATURES or not unserved(task, self.corpus, self.fold.fit, self.fold.test)

    def _try(self, tasks: Any, make: Callable[[], None]) -> bool:
        """Whether it was made. An error is the reason why these tasks have no outputs."""
        try:
            make()
        except WriteError:
            raise
        except Exception as error:
            reason = str(reason_of(error, self.folder.note(error), self.home))
            self.broken |= dict.fromkeys(tasks, reason)
            return False
        return True

    def _predict(self, task: Task) -> None:
        """What the task asks of the method on each test slide: arrays by "<slide>/<name>"."""
        method, training = self.fitted(), self._training
        predict = offer(task, "predict")
        arrays = {}
        with WORK, frozen(method):
            for slide in self.fold.test:
                given = shown(self.corpus[slide], genes=self._genes)
                arrays |= {f"{slide}/{n}": a for n, a in predict(method, training, given).items()}
        self.folder.save(f"{task.name}.npz", arrays)

    def _embed(self, function: str, slides: set[str]) -> None:
        """What `method.<function>` gives for the spots of each slide: float32 `[n_spots, d]` by slide."""
        method = self.fitted()
        features, counted = {}, counter()
        for name in sorted(slides):
            slide = shown(self.corpus[name], counts=function == "embed", genes=self._genes)
            with WORK, frozen(method), counted:
                features[name] = checked(f"{function}({name})", offer(method, function)(slide), slide.n_obs)
        self.folder.save(FEATURES[function], features)
        if function == "embed" or offer(self.method, "embed") is None:
            self.inference = {"flops": getattr(counted, "flops", 0), "spots": sum(map(len, features.values()))}


def counter() -> Any:
    """Counts the FLOPs of torch's operations within its `with`. Who has not imported torch has none."""
    import sys

    if "torch" not in sys.modules:
        return nullcontext()
    from benchmark.training.watch import Watch

    return Watch()


@contextmanager
def frozen(method: Method) -> Iterator[None]:
    """No gradients are taken here: what is learned is learned in `fit`. A reference, which is no rival, may."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or offer(method, "reference"):
        yield
    else:
        with torch.no_grad():
            yield


def checked(call: str, values: Any, n_spots: int) -> np.ndarray:
    """The vectors of the spots of a slide, float32 `[n_spots, d]`.

    Raises:
        ValueError: another shape, no dimension, or values that are not finite.
    """
    values = np.asarray(values, dtype=np.float32)
    if values.shape[:1] != (n_spots,) or values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"{call} has shape {values.shape}, expected ({n_spots}, d)")
    if not np.isfinite(values).all():
        raise ValueError(f"{call} has values that are not finite")
    return values
