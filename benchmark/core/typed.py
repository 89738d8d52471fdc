"""Values of YAML held to a type, with none converted: "8" is no number, and 1 is not true."""

from __future__ import annotations

import json
import reprlib
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import ErrorDetails


def typed(kind: TypeAdapter, value: Any) -> Any:
    """The value as its type has it: a list becomes a tuple where one is asked, say.

    It goes by way of JSON, which has the types of YAML and no others.

    Raises:
        pydantic.ValidationError: it has another type.
        TypeError, ValueError: it is nothing that YAML has, or NaN, or infinite.
    """
    return kind.validate_json(json.dumps(value, allow_nan=False), strict=True)


def fault(details: ErrorDetails) -> str:
    """What is wrong with a value, in the words of YAML, and the value where it is short."""
    text = details["msg"].removeprefix("Value error, ").replace("valid array", "valid list")
    text = text.replace("an object", "keys and values").replace("valid object", "valid mapping")
    plain = details["type"] not in ("value_error", "missing", "extra_forbidden")
    return f"{text}, not {reprlib.repr(details['input'])}" if plain else text
