"""A YAML file read with care: short UTF-8 text, no key twice, finite numbers, nothing that expands without end."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from benchmark.core.errors import UnitBenchError

LARGEST = 200_000  # bytes of a file: a thousand slides with their checksums
MOST = 100_000  # values of a file, with each alias counted as what it stands for
DEEPEST = 20  # levels
TAG = "tag:yaml.org,2002:"
KNOWN = {TAG + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge")}


class _Loader(yaml.SafeLoader):
    """YAML as its version 1.2 has it where 1.1 surprises: 1e11 is a number, and a date is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    TAG + "float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> Any:
    """What a YAML file says, as dicts, lists, text, finite numbers, booleans and None.

    Raises:
        UnitBenchError: no file, no regular file, over 200 kB, not UTF-8, or as `parse_yaml` does.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise UnitBenchError(path, "not a regular file", "give a YAML file")
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UnitBenchError(path, str(error.strerror), "give a YAML file that can be read") from None
    if len(data) > LARGEST:
        raise UnitBenchError(path, f"over {LARGEST // 1000} kB, so it is no file of settings", "give another file")
    try:
        return parse_yaml(data.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UnitBenchError(path, f"line {line}: not UTF-8", "save it as UTF-8") from None


def parse_yaml(text: str, where: object) -> Any:
    """What a text in YAML says.

    Args:
        where: the file or option, for the message.

    Raises:
        UnitBenchError: no YAML, a key twice, NaN, infinity, over 20 levels, aliases for over 100,000 values, or a tag.
    """
    try:
        loader = _Loader(text)
        if (node := loader.get_single_node()) is None:
            return None
        _count(node, loader, {}, 1)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UnitBenchError(where, f"no valid YAML ({line}{error.problem})", "correct it") from None
    except yaml.YAMLError as error:
        raise UnitBenchError(where, f"no valid YAML ({str(error).splitlines()[0]})", "correct it") from None
    except RecursionError:
        raise UnitBenchError(where, f"nested over {DEEPEST} levels deep", "correct it") from None
    except _Refused as error:
        raise UnitBenchError(where, str(error), error.remedy) from None


class _Refused(Exception):
    """Valid YAML that cannot be meant."""

    def __init__(self, node: yaml.Node, problem: str, remedy: str = "correct it"):
        self.remedy = remedy
        super().__init__(f"line {node.start_mark.line + 1}: {problem}")


def _count(node: yaml.Node, loader: _Loader, counts: dict[int, int], depth: int) -> int:
    """How many values a node stands for. Aliases of one node are one object, so each is looked at once.

    Args:
        counts: by the id of each node above (0) or before; filled here.

    Raises:
        _Refused: the node is not one that `parse_yaml` takes.
    """
    if id(node) in counts:
        if not counts[id(node)]:
            raise _Refused(node, "a value that holds itself")
        return counts[id(node)]
    counts[id(node)] = 0
    if node.tag not in KNOWN:
        raise _Refused(node, f"the tag {node.tag.replace(TAG, '!!')} is not known here")
    if depth > DEEPEST:
        raise _Refused(node, f"nested over {DEEPEST} levels deep")
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.ScalarNode):
        _check_number(node, loader)
    elif isinstance(node, yaml.MappingNode):
        keys = set[str]()
        for key, value in node.value:
            if str(key.value) in keys:
                raise _Refused(key, f"the key {key.value!r} stands twice", "remove one")
            keys.add(str(key.value))
            inner += [key, value]
    else:
        inner = node.value
    total = 1 + sum(_count(each, loader, counts, depth + 1) for each in inner)
    if total > MOST:
        raise _Refused(node, f"stands for over {MOST:,} values")
    counts[id(node)] = total
    return total


def _check_number(node: yaml.ScalarNode, loader: _Loader) -> None:
    """Raises _Refused: a number that is not finite, or one that versions of YAML read differently."""
    if node.tag not in (TAG + "int", TAG + "float"):
        return
    if re.match(r"[-+]?0[0-9_]|.*:", node.value):
        raise _Refused(
            node, f"{node.value} may be meant in two ways", "write it without leading zero or colon, or in quotes"
        )
    try:
        finite = math.isfinite(loader.construct_object(node))
    except (ValueError, OverflowError):  # a number of thousands of digits
        finite = False
    if not finite:
        raise _Refused(node, f"{node.value[:20]} is no finite number")
