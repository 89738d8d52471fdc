"""Files that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError


class WriteError(UnitBenchError):
    """A file cannot be written: the disk is full, say. No fault of a method, so no arm takes it for its own."""


def write_atomic(path: Path, write: Callable[[Path], Any]) -> Path:
    """Call `write(temporary)` and rename the temporary file to `path`; on any failure nothing is left behind.

    The temporary name ends like `path`, since several writers choose their format by the suffix.

    Raises:
        WriteError: whatever the writer raises; on a full disk torch and h5py raise RuntimeError, others OSError.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except Exception as error:
        cause = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        remedy = "free some space or choose another results folder"
        raise WriteError(path, f"cannot be written ({cause})", remedy) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    return write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> Path:
    """JSON with sorted keys; NaN is refused, since no other reader takes it."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnitBenchError(path, "file not found", "run the step that makes it") from error
    except ValueError as error:
        raise UnitBenchError(path, f"no valid JSON ({error})", "delete it and run again") from error


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """First 12 hex digits of the sha256 of a JSON value: names results by what made them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
