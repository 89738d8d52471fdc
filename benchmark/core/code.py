"""A fingerprint of the code that a module runs, so that results of other code are told apart from those of this one."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.core import registry
from benchmark.core.files import fingerprint, sha256

PROJECT = ("benchmark", "methods", "baselines")


def code_of(*modules: str) -> str:
    """12 hex digits that change with the code that these modules run. Nothing is imported.

    That code is their files and all that they import, also within functions, of this project. Imports for type checkers
    do not count. Of a module of somebody else's package, the whole package counts, and what it imports of this project.
    Other files count where a module of their folder names them, or their folder, in a string. The result is kept for
    the life of the process.
    """
    return _code_of(modules, tuple(sys.path))


def code_of_plugin(kind: registry.Kind, name: str, options: Mapping[str, Any]) -> str:
    """The code of a plugin, and of the channel rules that its options name. For a method also what is in the files and
    folders that they name: weights, say. Raises UnitBenchError: no such plugin."""
    rules, words = registry.plugins("channels"), sorted({value for value in options.values() if isinstance(value, str)})
    named = [rules[word].entry.module for word in words if word in rules]
    code = code_of(registry.find(kind, name).entry.module, *named)
    files = _files_of(words) if kind == "methods" else {}
    return fingerprint([code, files]) if files else code


def _files_of(words: list[str]) -> dict[str, str]:
    """The checksums of the files that the words name, and of those in the folders that they name."""
    found = {Path(word) for word in words if os.path.isfile(word)}  # unlike Path's, it takes any text
    folders = [Path(word) for word in words if os.path.isdir(word)]
    found |= {file for folder in folders for file in folder.rglob("*") if file.is_file()}
    return {str(file): sha256(file) for file in sorted(found)}


@cache
def _code_of(modules: tuple[str, ...], path: tuple[str, ...]) -> str:
    """Cached for each `path` too, because it tells where modules are found."""
    tops = {*PROJECT, *(module.partition(".")[0] for module in modules)}
    waiting = [*modules, *(name for top in tops - {*PROJECT} for name in _modules_of(top))]
    seen: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] not in tops:
            continue
        file = _file(name)
        seen[name] = sha256(file) if file else ""
        if file:
            imported, strings = _read(file)
            waiting += [name.rpartition(".")[0] or name, *(_absolute(name, file, found) for found in imported)]
            others = _named(file.parent, strings) if name.partition(".")[0] in PROJECT else []
            seen |= {f"{name}: {other.relative_to(file.parent)}": sha256(other) for other in others}
    return fingerprint({**{name: digest for name, digest in seen.items() if digest}, **_others(tops - {*PROJECT})})


@cache
def _package(top: str) -> tuple[Path | None, Path | None]:
    """Where a top-level package is: its folder, or the file of a module that is no package."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))), None
    return None, Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _file(name: str) -> Path | None:
    """The source file of a module; None where there is none: the name is that of a function, say."""
    top, *parts = name.split(".")
    folder, alone = _package(top)
    if folder is None:
        return alone if not parts else None
    path = folder.joinpath(*parts)
    return next((file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None)


def _modules_of(top: str) -> list[str]:
    """The names of all modules of a package that have a source file."""
    folder, _ = _package(top)
    paths = [file.relative_to(folder).with_suffix("").parts for file in folder.rglob("*.py")] if folder else []
    return [".".join([top, *(path[:-1] if path[-1] == "__init__" else path)]) for path in paths]


def _others(tops: set[str]) -> dict[str, str]:
    """The checksums of the files of these packages that are no source code."""
    folders = {top: folder for top in tops if (folder := _package(top)[0])}
    return {
        f"{top}/{file.relative_to(folder)}": sha256(file)
        for top, folder in folders.items()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc") and not file.name.startswith(".")
    }


def _named(folder: Path, strings: frozenset[str]) -> list[Path]:
    """Files of a folder that are no source code, and are named by one of the strings, or lie in a folder that is."""
    named = [path for path in folder.iterdir() if path.name in strings and not (path / "__init__.py").exists()]
    files = [file for path in named for file in (path.rglob("*") if path.is_dir() else [path])]
    return [file for file in files if file.is_file() and file.suffix not in (".py", ".pyc")]


def _absolute(name: str, file: Path, imported: tuple[int, str]) -> str:
    """The whole name of what the module `name` imports, relative or not."""
    level, found = imported
    parts = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    return ".".join([*parts[: len(parts) - level + 1], found]) if level else found


@cache
def _read(file: Path) -> tuple[frozenset[tuple[int, str]], frozenset[str]]:
    """What a source file imports, each as (dots in front, name), and its strings. Empty where it is no Python."""
    try:
        tree = ast.parse(file.read_bytes()) if file.suffix == ".py" else ast.Module([], [])
    except (SyntaxError, ValueError):
        return frozenset(), frozenset()
    imported: set[tuple[int, str]] = set()
    strings: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            children = list(node.orelse)
        waiting += children
        if isinstance(node, ast.Import):
            imported |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            imported |= {(node.level, ".".join(filter(None, (base, alias.name)))) for alias in node.names}
            imported |= {(node.level, base)} if base else set()
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
    return frozenset(imported), frozenset(strings)
