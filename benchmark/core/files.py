"""Files that are complete or absent: each is written under another name, then renamed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError

LARGE = 4 * 2**20  # bytes; a smaller file has its checksum in a few milliseconds


class WriteError(UnitBenchError):
    """A file cannot be written: the disk is full, say. That is no error of a method, so no arm counts as failed."""


def write_atomic(path: Path, write: Callable[[Path], Any]) -> Path:
    """Call `write(temporary)` and rename the temporary file to `path`. After a failure nothing is left.

    The temporary name has the suffix of `path`, because some writers choose their format by it.

    Raises:
        WriteError: for any error of the writer. On a full disk torch and h5py raise RuntimeError, others OSError.
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
        remedy = "free disk space or choose another results folder"
        raise WriteError(path, f"cannot be written ({cause})", remedy) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Text as UTF-8. Raises WriteError."""
    return write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> Path:
    """JSON with sorted keys. Raises WriteError, also for NaN, which is not JSON."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises UnitBenchError: no file, or no JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnitBenchError(path, "file not found", "run the step that makes it") from error
    except ValueError as error:
        raise UnitBenchError(path, f"no valid JSON ({error})", "delete it and run again") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the body. The lock is a file beside `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    """The checksum of a file, 64 hex digits. That of a large file is kept, and read again while the file is the same:
    its size, number and times."""
    path = Path(path)
    about = path.stat()
    if about.st_size < LARGE:
        return _sha256(path)
    same = [str(path.resolve()), about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns]
    kept = cache_folder() / "sha256" / fingerprint(same)
    with suppress(OSError):
        if re.fullmatch("[0-9a-f]{64}", text := kept.read_text(encoding="utf-8", errors="replace")):
            return text
    digest = _sha256(path)
    # A file that was changed just now may change again without a change of its times.
    if time.time_ns() - about.st_ctime_ns > 2e9 and path.stat().st_mtime_ns == about.st_mtime_ns:
        with suppress(WriteError):
            write_text(kept, digest)
    return digest


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """UNITBENCH_CACHE, or `~/.cache/unitbench`."""
    return Path(os.environ.get("UNITBENCH_CACHE") or Path.home() / ".cache" / "unitbench")


def fingerprint(value: Any) -> str:
    """First 12 hex digits of the sha256 of a JSON value. Results are named by the fingerprint of what made them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
