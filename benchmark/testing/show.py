"""`unitbench check-plugin`: the checks of one plugin, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.registry import GROUPS, find, plugins
from benchmark.core.yaml_file import parse_yaml
from benchmark.testing.classes import CHECKS
from benchmark.testing.subject import Outcome, Subject, run_checks

if TYPE_CHECKING:
    from rich.console import Console


def check_plugin(name: str, kind: str, options: str, method: str, console: Console) -> int:
    """Print the outcome of each check; 1 if one is violated, else 0.

    Raises:
        UnitBenchError: no such plugin, several kinds have the name, or the options are no mapping.
    """
    import torch

    torch.set_num_threads(1)  # the modules are small: more threads only wait for each other
    chosen = _options(options)
    subject = Subject(_kind(name, kind), name, chosen, method)
    console.print(f"{subject.kind[:-1]} {name!r} of {find(subject.kind, name).distribution}", highlight=False)
    violated = [_print(outcome, console) for outcome in run_checks(subject, CHECKS[subject.kind])]
    verdict = f"{sum(violated)} of {len(violated)} checks violated" if any(violated) else "it keeps its contract"
    console.print(verdict, style="bold red" if any(violated) else "bold green", highlight=False)
    return int(any(violated))


def _print(outcome: Outcome, console: Console) -> bool:
    """Whether it was violated."""
    mark, text = ("[green]ok      [/]", outcome.asked)
    if outcome.skipped:
        mark, text = "[yellow]skipped [/]", f"{outcome.asked} ({outcome.skipped})"
    if outcome.violated:
        mark, text = "[red]violated[/]", outcome.violated
    console.print(mark, end=" ")
    console.print(text, markup=False, highlight=False)
    return bool(outcome.violated)


def _kind(name: str, kind: str) -> str:
    if kind and kind not in GROUPS:
        raise UnitBenchError(f"--kind {kind}", "unknown", nearest(kind, GROUPS))
    kinds = [kind] if kind else [each for each in GROUPS if name in plugins(each)]
    if len(kinds) > 1:
        raise UnitBenchError(f"plugin {name!r}", f"one of each of {', '.join(kinds)}", "give --kind")
    if not kinds or name not in plugins(kinds[0]):
        known = {each for one in kinds or GROUPS for each in plugins(one)}
        raise UnitBenchError(f"plugin {name!r}", "not installed", nearest(name, known))
    return kinds[0]


def _options(text: str) -> dict:
    options = parse_yaml(text, "--options")
    if not isinstance(options, dict):
        raise UnitBenchError("--options", f"{text!r} is no mapping", 'give names and values, such as {"size": 4}')
    return options
