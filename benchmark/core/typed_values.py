"""Frozen typed values from YAML or JSON. An unknown key is an error that names the nearest one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.typed import fault, typed


class Frozen(BaseModel):
    """Values that cannot change, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def build(model: type[Frozen], values: Any, where: object) -> Any:
    """`model(**values)`, with no type converted: "8" is no number, and 1 is not true. An error of pydantic becomes one
    line: the file, the key, the remedy.

    Args:
        values: as YAML or JSON has them.
        where: the file, for the message.

    Raises:
        UnitBenchError: unknown key (names the nearest known one), wrong type, missing key.
    """
    if not isinstance(values, dict):
        raise UnitBenchError(
            where, f"expected keys and values, found {type(values).__name__}", "see config/default/simulated.yaml"
        )
    try:
        return typed(TypeAdapter(model), values)
    except ValidationError as error:
        # An unknown key comes first: it is often a misspelling of the key that is missing.
        first = min(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _fields_at(model, first["loc"][:-1])
            raise UnitBenchError(where, f"unknown key {key!r}", nearest(str(first["loc"][-1]), known)) from None
        if first["type"] == "missing":
            raise UnitBenchError(where, f"key {key!r} is missing", "see config/default/simulated.yaml") from None
        raise UnitBenchError(where, f"{key}: {fault(first)}" if key else fault(first), "correct it") from None


def _fields_at(model: Any, path: tuple) -> list[str]:
    """Names of the fields of the model at `path` inside `model`."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            model = next(iter(getattr(annotation, "__args__", ())), annotation)
    return [field.alias or name for name, field in model.model_fields.items()]
