"""What is checked: a plugin with its options, and what its checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import SkipTest

from benchmark.core import registry
from benchmark.core.contracts import offer
from benchmark.core.errors import UnitBenchError
from benchmark.core.reasons import reason_of
from benchmark.data.shown import shown
from benchmark.testing.tissue import tissue

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmark.data.corpus import Corpus


class Violation(AssertionError):
    """One line: what the contract asks, and what was there instead."""


class Outcome(NamedTuple):
    """Of one check: what the contract asks, and one line that says how it was violated or why it was skipped, or ""."""

    asked: str
    violated: str = ""
    skipped: str = ""


@dataclass
class Subject:
    """A plugin under check.

    Attributes:
        options: as in a config.
        method: for a task, the method to try it with; left out: an installed one that has what the task requires.
        corpus: slides of several donors; the last one's is the test slide.
        kept: what one check leaves for the next, so that nothing is fitted twice.
    """

    kind: registry.Kind
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    method: str = ""
    corpus: Corpus = field(default_factory=tissue)
    kept: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Any:
        return registry.make(self.kind, self.name, self.options)

    def keep(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    @property
    def training(self) -> Corpus:
        """The slides of all donors but the last, as methods are given them: with labels if the method asks for them."""
        labels = self.kind == "methods" and offer(self.make(), "labels")
        return self.corpus.for_methods(self.corpus.names[:-1], labels=labels)

    @property
    def test_slide(self) -> AnnData:
        """The slide of the last donor, as methods are given it."""
        return shown(self.corpus[self.corpus.names[-1]])


Check = Callable[[Subject], None]


def require(condition: object, asked: str) -> None:
    """Raises Violation with `asked`, unless the condition holds."""
    if not condition:
        raise Violation(asked)


def run_checks(subject: Subject, checks: list[Check]) -> Iterator[Outcome]:
    """All checks in turn; after a violation of the first one, which the others build on, no more."""
    for check in checks:
        outcome = run_check(subject, check)
        yield outcome
        if outcome.violated and check is checks[0]:
            return


def run_check(subject: Subject, check: Check) -> Outcome:
    """An error inside the plugin names its file and line."""
    asked = " ".join((check.__doc__ or "").split())
    try:
        check(subject)
    except SkipTest as reason:
        return Outcome(asked, skipped=str(reason))
    except Violation as error:
        return Outcome(asked, " ".join(str(error).split()))
    except UnitBenchError as error:
        return Outcome(asked, f"refused: {error}")
    except Exception as error:
        home = registry.find(subject.kind, subject.name).home
        return Outcome(asked, reason_of(error, home=home).cause)
    return Outcome(asked)
