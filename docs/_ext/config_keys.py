"""The directive `config-keys MODULE:MODEL`: the keys of a pydantic model as a table, made from its fields."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", Any: "anything"}
MANY = {"text": "texts", "whole number": "whole numbers", "number": "numbers"}
LIMITS = {"ge": "at least {}", "gt": "above {}", "lt": "below {}", "min_length": "not empty"}


class ConfigKeys(SphinxDirective):
    """One row for each field that the model itself has: its name, type, default and description."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments[0].split(":")
        loaded = import_module(module)
        self.env.note_dependency(loaded.__file__)
        model = getattr(loaded, name)
        rows = [
            f"| `{field.alias or key}` | {_type(field)} | {_default(field)} | {field.description} |"
            for key, field in model.model_fields.items()
            if key in inspect.get_annotations(model)
        ]
        return self.parse_text_to_nodes("\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows]))


def _type(field: FieldInfo) -> str:
    rules = [(LIMITS[name], getattr(rule, name, None)) for rule in field.metadata for name in LIMITS]
    return ", ".join([_kind(field.annotation), *(words.format(limit) for words, limit in rules if limit is not None)])


def _kind(annotation: Any) -> str:
    """A type in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inside[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, UnionType):
        return " or ".join(map(_kind, inside))
    if origin is dict:
        return f"for each name: {_kind(inside[1])}"
    if origin is list or ... in inside:
        return f"list of {_many(inside[0])}"
    if origin is tuple:
        return f"{len(inside)} {_many(inside[0])}"
    if issubclass(annotation, BaseModel):
        keys = list(annotation.model_fields)
        return f"{{{keys[0]}: …}}" if len(keys) == 1 else "keys, see below"
    return "null" if annotation is NoneType else NAMES[annotation]


def _many(annotation: Any) -> str:
    return MANY.get(_kind(annotation), _kind(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if isinstance(field.default, BaseModel):
        return "see below"
    return f"`{field.default if isinstance(field.default, str) and field.default else json.dumps(field.default)}`"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("config-keys", ConfigKeys)
    return {"parallel_read_safe": True}
