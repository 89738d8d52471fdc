"""The conformance kit: holds a plugin to its contract, by `unitbench check-plugin NAME` or in the plugin's own tests.

    from benchmark.testing import MethodChecks

    class TestMine(MethodChecks):
        plugin = "my_method"

Each check is a test; a violation is one line that says what the contract asks.
"""

from benchmark.testing.classes import DatasetChecks, MethodChecks, RuleChecks, TaskChecks

__all__ = ["DatasetChecks", "MethodChecks", "RuleChecks", "TaskChecks"]
