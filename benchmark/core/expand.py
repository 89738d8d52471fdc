"""The shorthand of a config, written out: `extends` as the keys of the other file, `vary` as an entry a combination."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmark.core.errors import UnitBenchError


def read_values(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """What a YAML file says, on top of the file that its key `extends` names, relative to its own folder.

    A key replaces the whole of what the other file has under it.

    Args:
        above: the files that extend this one.

    Raises:
        UnitBenchError: no file, no YAML, or a file that extends itself by way of others.
    """
    path = Path(path)
    if path.resolve() in {other.resolve() for other in above}:
        raise UnitBenchError(path, "extends itself", "let `extends` name another file")
    values = _load(path, above)
    if not isinstance(values, dict) or "extends" not in values:
        return values
    base = values.pop("extends")
    if not isinstance(base, str):
        raise UnitBenchError(path, f"extends: expected the name of a file, found {base!r}", "correct it")
    inherited = read_values(path.parent / base, (*above, path))
    if not isinstance(inherited, dict):
        cause = f"expected keys and values, found {type(inherited).__name__}"
        raise UnitBenchError(path.parent / base, cause, "see config/default/simulated.yaml")
    return inherited | values


def _load(path: Path, above: tuple[Path, ...]) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "give a file of config/, e.g. CONFIG=config/default/simulated.yaml"
        remedy = f"correct `extends` in {above[-1]}" if above else remedy
        raise UnitBenchError(path, "file not found", remedy) from None
    except yaml.YAMLError as error:
        raise UnitBenchError(path, f"no valid YAML ({str(error).splitlines()[0]})", "correct it") from None


def combinations(vary: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of one value an option, the last option changing fastest, with what it adds to a label.

    >>> list(combinations({"size": [8, 16]}))
    [('.size-8', {'size': 8}), ('.size-16', {'size': 16})]
    """
    for values in itertools.product(*vary.values()):
        chosen = dict(zip(vary, values, strict=True))
        yield "".join(f".{option}-{_word(value)}" for option, value in chosen.items()), chosen


def _word(value: Any) -> str:
    """Numbers, true, false and null as YAML has them."""
    return value if isinstance(value, str) else json.dumps(value)
