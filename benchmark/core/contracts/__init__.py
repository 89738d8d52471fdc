"""The contracts: all that a method, task, dataset, unit, module or channel rule may offer, and how it is asked.

A plugin inherits from nothing. What it must have is a Protocol here (`Method`, `Task`, …); what it may have besides
is the Protocol's second part (`MethodOptions`, `TaskOptions`, …), with the default for whoever leaves it out.
`offer` is the one place that looks. `unitbench check-plugin` holds a plugin to all of this.
"""

from __future__ import annotations

from typing import Any

from benchmark.core.contracts.breaches import breaches
from benchmark.core.contracts.data import Dataset, DatasetOptions, Rule
from benchmark.core.contracts.measures import KeyScore, Measured, Metric, NotApplicable, Split, Spots
from benchmark.core.contracts.method import API_VERSION, Method, MethodOptions, UnitName
from benchmark.core.contracts.task import Task, TaskOptions
from benchmark.core.contracts.training import Module, ModuleOptions, Samples, Unit, UnitOptions

__all__ = [
    "API_VERSION",
    "Dataset",
    "DatasetOptions",
    "KeyScore",
    "Measured",
    "Method",
    "MethodOptions",
    "Metric",
    "Module",
    "ModuleOptions",
    "NotApplicable",
    "Rule",
    "Samples",
    "Split",
    "Spots",
    "Task",
    "TaskOptions",
    "Unit",
    "UnitName",
    "UnitOptions",
    "breaches",
    "offer",
]

_DEFAULTS = {
    name: None if callable(value) else value
    for contract in (MethodOptions, TaskOptions, UnitOptions, ModuleOptions, DatasetOptions)
    for name, value in vars(contract).items()
    if not name.startswith("_")
}


def offer(plugin: object, name: str) -> Any:
    """What a plugin offers under a name of its contract: the value or function, or the contract's default (None for a
    function) where it leaves it out, or has switched a function off by setting it to None."""
    return getattr(plugin, name, _DEFAULTS.get(name))
