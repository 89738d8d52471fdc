"""Keep the largest difference of each parity test, and print all of them at the end."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

import pytest

SEEN = pytest.StashKey[dict[str, tuple[float, float]]]()


@pytest.fixture
def within(request):
    """`within(what, difference, limit)` asserts that limit, and keeps the largest difference of each `what`."""
    seen = request.config.stash.setdefault(SEEN, {})

    def check(what: str, difference: float, limit: float) -> None:
        seen[what] = (max(float(difference), seen.get(what, (0.0, limit))[0]), limit)
        assert difference <= limit, what

    return check


def pytest_terminal_summary(terminalreporter, config):
    seen = config.stash.get(SEEN, {})
    if not seen:
        return
    terminalreporter.section("largest differences seen")
    for what, (difference, limit) in seen.items():
        terminalreporter.line(f"{what:<60} {difference:8.1e}   at most {limit:.0e}")
    versions = (f"{name} {version(name)}" for name in ("scgpt", "torch", "numpy") if find_spec(name))
    terminalreporter.line(", ".join(versions))
