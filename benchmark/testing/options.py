"""The check that every kind of plugin has: the types of its options can be read, so that values are checked."""

from __future__ import annotations

from benchmark.core.registry import find, option_types
from benchmark.testing.subject import Subject, Violation


def has_options_of_known_types(subject: Subject) -> None:
    """The types of its options can be read when it runs, so that values in a config are checked."""
    try:
        option_types(find(subject.kind, subject.name).load())
    except TypeError as error:
        remedy = "import it outside TYPE_CHECKING, or name a type that YAML has"
        raise Violation(f"a type of its options cannot be read: {error}; {remedy}") from None
