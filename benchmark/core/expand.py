"""The shorthand of a config, written out: `extends` and `include` as what the other file says, `vary` as its grid."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError
from benchmark.core.experiments import nearest_experiment
from benchmark.core.yaml_file import read_yaml

LISTS = ("methods", "tasks")  # an entry of these may be `{include: file}`
DATA = ("dataset", "datasets")  # one stands in place of the other


def read_values(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """What a YAML file says, on top of the file that its key `extends` names, relative to its own folder.

    A key replaces the whole of what the other file has under it. An included list is part of the list that names it.

    Args:
        above: the files that extend this one.

    Raises:
        UnitBenchError: no file, no YAML, or a file that extends or includes itself by way of others.
    """
    path = Path(path)
    values = _load(path, "extends", above)
    if not isinstance(values, dict):
        return values
    values |= {key: list(_entries(values[key], (path,))) for key in LISTS if isinstance(values.get(key), list)}
    if "extends" not in values:
        return values
    base = _beside(path, "extends", values.pop("extends"))
    inherited = read_values(base, (*above, path))
    if not isinstance(inherited, dict):
        cause = f"expected keys and values, found {type(inherited).__name__}"
        raise UnitBenchError(base, cause, "see config/default/simulated.yaml")
    if values.keys() & set(DATA):
        inherited = {key: value for key, value in inherited.items() if key not in DATA}
    return inherited | values


def _entries(entries: list, files: tuple[Path, ...]) -> Iterator[Any]:
    """The entries of a list, and in place of each `{include: file}` those of the list in that file.

    Args:
        files: the file that holds the list, last; before it those that include it.
    """
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != {"include"}:
            yield entry
            continue
        path = _beside(files[-1], "include", entry["include"])
        included = _load(path, "include", files)
        if not isinstance(included, list):
            cause = f"expected a list, found {type(included).__name__}"
            raise UnitBenchError(path, cause, f"correct it, or `include` in {files[-1]}")
        yield from _entries(included, (*files, path))


def _beside(path: Path, key: str, name: Any) -> Path:
    """The file that a key of the file `path` names, relative to the folder of `path`."""
    if not isinstance(name, str) or "\0" in name:
        raise UnitBenchError(path, f"{key}: expected the name of a file, found {name!r}", "correct it")
    return path.parent / name


def _load(path: Path, key: str, above: tuple[Path, ...]) -> Any:
    """What a file says. `key` of the last file above names it; where there is none above, the user does."""
    if path.resolve() in {other.resolve() for other in above}:
        raise UnitBenchError(path, f"{key.removesuffix('s')}s itself", f"let `{key}` name another file")
    if not path.exists() or path.is_dir():
        raise UnitBenchError(
            path, "file not found", f"correct `{key}` in {above[-1]}" if above else nearest_experiment(path)
        )
    return read_yaml(path)


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
