"""Where a dataset's files lie: a local copy under UNITBENCH_DATA, else a cache filled from their source."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from benchmark.core.errors import UnitBenchError
from benchmark.data.download import check_file, fetch


def local_folder(folder: str) -> Path | None:
    """`UNITBENCH_DATA/<folder>`, or None where there is no such local copy.

    Raises:
        UnitBenchError: UNITBENCH_DATA is set, but to no folder.
    """
    if not (data := os.environ.get("UNITBENCH_DATA")):
        return None
    if not Path(data).is_dir():
        raise UnitBenchError(f"UNITBENCH_DATA={data}", "no such folder", "correct it or unset it")
    return path if (path := Path(data) / folder).is_dir() else None


def cache_folder() -> Path:
    return Path(os.environ.get("UNITBENCH_CACHE") or Path.home() / ".cache" / "unitbench")


def locate(folder: str, file: dict, url: str) -> Path:
    """Path of a file of the record (`path`, `sha256`, perhaps `bytes`), checked; `url` is its public source.

    Raises:
        UnitBenchError: missing from the local copy, truncated, altered, or not to be had from its source.
    """
    local = local_folder(folder)
    if local is None:
        return fetch(f"{url}/{quote(file['path'])}", cache_folder() / folder / file["path"], file["sha256"])
    path = local / file["path"]
    if not path.is_file():
        raise UnitBenchError(path, "file not found", "restore it, or unset UNITBENCH_DATA to download it")
    return check_file(path, file["sha256"], file.get("bytes"))
