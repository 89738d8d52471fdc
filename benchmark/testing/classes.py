"""The same checks as pytest classes: a plugin's author subclasses one and names the plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from unittest import SkipTest

from benchmark.core.registry import Kind
from benchmark.testing import data, methods, tasks
from benchmark.testing.subject import Check, Subject, Violation, run_check

CHECKS: dict[Kind, list[Check]] = {
    "methods": methods.CHECKS,
    "tasks": tasks.CHECKS,
    "datasets": data.DATASET_CHECKS,
    "channels": data.RULE_CHECKS,
}


class Checks:
    """What the classes share; one test a check is added below.

    Attributes:
        plugin: the name of its entry point.
        options: as in a config.
        method: for a task, the method to try it with.
    """

    kind: ClassVar[Kind]
    plugin: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    method: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Every check becomes a test; the subclasses of one class share its subject, so nothing is fitted twice."""
        if "kind" in vars(cls):
            for check in CHECKS[cls.kind]:
                setattr(cls, f"test_it_{check.__name__}", _test(check))
        cls.subject = None

    @classmethod
    def under_check(cls) -> Subject:
        if cls.subject is None:
            cls.subject = Subject(cls.kind, cls.plugin, cls.options, cls.method)
        return cls.subject


def _test(check: Check):
    def test(self: Checks) -> None:
        outcome = run_check(self.under_check(), check)
        if outcome.skipped:
            raise SkipTest(outcome.skipped)
        if outcome.violated:
            raise Violation(f"{self.kind[:-1]} {self.plugin!r}: {outcome.violated}")

    test.__doc__ = check.__doc__
    return test


class MethodChecks(Checks):
    """Checks of a method."""

    kind = "methods"


class TaskChecks(Checks):
    """Checks of a task."""

    kind = "tasks"


class DatasetChecks(Checks):
    """Checks of a dataset."""

    kind = "datasets"


class RuleChecks(Checks):
    """Checks of a channel rule."""

    kind = "channels"
