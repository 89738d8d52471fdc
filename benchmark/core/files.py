"""Files that are complete or absent: each is written under another name, then renamed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from benchmark.core.errors import UnitBenchError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

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


def read_json(path: Path, kind: type = object, keys: Mapping[str, type] = MappingProxyType({})) -> Any:
    """What a JSON file holds.

    Args:
        kind: the type that it must have: `dict`, `list`, `float`.
        keys: what a dict must have: the type of each value.

    Raises:
        UnitBenchError: no file, no JSON, another type, or a key is missing or of another type.
    """
    again = "delete it and run again"
    try:
        value: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnitBenchError(path, "file not found", "run the step that makes it") from error
    except (ValueError, RecursionError) as error:
        raise UnitBenchError(path, f"no valid JSON ({error})", again) from error
    if not isinstance(value, kind):
        raise UnitBenchError(path, f"damaged: holds {type(value).__name__}, {kind.__name__} is expected", again)
    if lost := [key for key, of in keys.items() if not isinstance(cast(dict, value).get(key), of)]:
        raise UnitBenchError(path, f"damaged: no {keys[lost[0]].__name__} {lost[0]!r}", again)
    return value


def read_arrays(path: Path, remedy: str = "delete it and run again") -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name. Pickled objects are not loaded.

    Raises:
        UnitBenchError: no file, or a damaged one.
    """
    import numpy as np

    def read() -> dict[str, np.ndarray]:
        with np.load(path) as file:
            return dict(file)

    return checked(read, path, remedy)


def read_array(path: Path) -> np.ndarray:
    """The array of an `.npy` file, memory-mapped. Raises UnitBenchError: no file, or a damaged one."""
    import numpy as np

    return checked(lambda: np.load(path, mmap_mode="r"), path)


def read_parquet(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """The table of a Parquet file.

    Raises:
        UnitBenchError: no file, a damaged one, or one of these columns is missing.
    """
    import pandas as pd

    table = checked(lambda: pd.read_parquet(path), path)
    if missing := [column for column in columns if column not in table]:
        raise UnitBenchError(path, f"damaged: no column {missing[0]!r}", "delete it and run again")
    return table


def checked(read: Callable[[], Any], path: Path, remedy: str = "delete it and run again") -> Any:
    """What `read` makes of a file. Every reader has exceptions of its own for a damaged one.

    Raises:
        UnitBenchError: no file, or any error of the reader.
        PermissionError: the file may not be read.
    """
    try:
        return read()
    except FileNotFoundError as error:
        raise UnitBenchError(path, "file not found", "run the step that makes it") from error
    except PermissionError:
        raise
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")
        raise UnitBenchError(path, f"damaged, it cannot be read ({type(error).__name__}: {said})", remedy) from error


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
